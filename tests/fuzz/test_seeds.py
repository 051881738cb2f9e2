"""Every seed of the fuzzers, and everything that they have found, breaks no promise.

A file that made a target fail is put beside the seeds, and stays there.
"""

from pathlib import Path

import pytest

from scripts.fuzzing.targets import TARGETS

SEEDS = Path(__file__).parent / "seeds"
FILES = sorted(path for path in SEEDS.rglob("*") if path.is_file())


def test_every_target_has_seeds() -> None:
    assert {path.parent.name for path in FILES} == set(TARGETS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_seed_breaks_no_promise(path: Path) -> None:
    TARGETS[path.parent.name](path.read_bytes())

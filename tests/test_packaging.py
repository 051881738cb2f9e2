"""What runs the installed server elsewhere names only settings and programs that there are."""

import re
import tomllib
from pathlib import Path

import pytest

from racs_server.config import FIELDS

ROOT = Path(__file__).parents[1]
SETTINGS = {f"RACS_{name.upper()}" for name in FIELDS}
CLIENT = {"RACS_URL"}
PROGRAMS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
    "scripts"
]


def read(name: str) -> str:
    return (ROOT / "scripts" / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["racs-server.service", "Dockerfile"])
def test_every_variable_is_a_setting_that_the_server_has(name: str) -> None:
    named = set(re.findall(r"\bRACS_[A-Z_]+", read(name)))
    assert "RACS_DATA_DIR" in named
    assert named <= SETTINGS | CLIENT


def test_the_unit_and_the_image_start_an_installed_program() -> None:
    start = re.search(r"^ExecStart=\S*/(\S+)$", read("racs-server.service"), re.MULTILINE)
    entry = re.search(r'^ENTRYPOINT \["(\S+)"\]$', read("Dockerfile"), re.MULTILINE)
    assert start is not None
    assert entry is not None
    assert {start[1], entry[1]} <= PROGRAMS.keys()


def test_what_the_image_copies_is_there() -> None:
    sources = [
        source
        for line in re.findall(r"^COPY (?!--)(.+)$", read("Dockerfile"), re.MULTILINE)
        for source in line.split()[:-1]
    ]
    assert "racs_server" in sources
    assert all((ROOT / source).exists() for source in sources)

"""What is done to runes-client, with a package that only looks like it: no class, other methods."""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from racs import Racs
from racs.runes import archive, flush, hooks, runs
from tests.runes.sounds import archived, noise, write

WAIT = 60
CORE = """
class RunesFilePath(str): ...

class Answers:
    files = ()
    async def add_file(self, file_path):
        self.files += (file_path,)
        return "told"
    def add_message(self, message):  # one that is not async
        return message

answers = None
registered = None

def NAME():
    return answers

def register_method(method):
    global registered
    registered = method

def set_name(name):
    return name
"""


@pytest.fixture(params=["output", "results"])
def client(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Callable[[], Any]]:
    """A way to import the package, which is forgotten afterwards."""
    package = tmp_path / "package" / "runes_client"
    package.mkdir(parents=True)
    (package / "core.py").write_text(CORE.replace("NAME", request.param))
    (package / "__init__.py").write_text("from runes_client.core import *\n")
    monkeypatch.syspath_prepend(str(package.parent))
    monkeypatch.setattr(hooks, "_decorate", None)
    monkeypatch.setattr(hooks, "_name", None)
    yield lambda: importlib.import_module("runes_client.core")
    for name in ("runes_client", "runes_client.core"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("imported_before", [False, True])
def test_installed_it_keeps_the_runs_of_what_is_registered(
    store: Racs, tmp_path: Path, client: Callable[[], Any], imported_before: bool
) -> None:
    if imported_before:
        client()
    archive.install(store)
    assert ("runes_client" in sys.modules) == imported_before
    core = client()
    name = f"Looks like it {tmp_path.name} {imported_before}"
    assert core.set_name(name) == name
    values = noise(100, 2, 16)
    path = write(tmp_path / "x.wav", values, 16)

    async def rune(sound: core.RunesFilePath, missing: core.RunesFilePath) -> str:  # type: ignore[name-defined]
        answers = core.answers
        assert await answers.add_file(file_path=sound) == "told"
        assert answers.add_message("hello") == "hello"
        return "returned"

    sys.modules["runes_client"].register_method(rune)
    core.answers = core.Answers()
    assert trio.run(core.registered, core.RunesFilePath(path), None) == "returned"
    assert core.answers.files == (str(path),)
    assert flush(WAIT) == 0
    [run] = runs(store, name)
    assert run.record.message == "hello"
    assert run.record.parameters["sound"]["type"] == "RunesFilePath"
    assert run.parameters == {"sound": str(path), "missing": None}
    assert [archived(store, stream_id) for stream_id in run.streams] == [
        values.ravel().tolist()
    ] * 2


def test_a_client_that_has_nothing_of_what_is_looked_for(
    store: Racs, tmp_path: Path, client: Callable[[], Any]
) -> None:
    (tmp_path / "package" / "runes_client" / "core.py").write_text("output = 3\n")
    archive.install(store)
    client()

    @archive(store, rune="bare")
    async def rune() -> int:
        return 5

    assert trio.run(rune) == 5

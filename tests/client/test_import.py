"""What importing the client brings with it, looked at in a fresh interpreter."""

import json
import subprocess
import sys

import pytest

import racs


def modules_after(statement: str) -> set[str]:
    code = f"{statement}\nimport json, sys\nprint(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names: list[str] = json.loads(done.stdout)
    return set(names)


def test_the_client_loads_only_what_everybody_needs() -> None:
    loaded = modules_after("from racs import Racs\nRacs().pipeline().ping()")
    assert (
        not {"soundfile", "zstandard", "trio", "lark", "click", "rich", "asyncio", "anyio"} & loaded
    )
    assert not {name for name in loaded if name.startswith("racs_server")}


def test_the_package_alone_loads_nothing() -> None:
    loaded = modules_after("import racs")
    assert not {"numpy", "msgspec", "crc32c", "racs.client", "racs.wire"} & loaded


def test_the_wire_code_does_not_load_the_client() -> None:
    loaded = modules_after("import racs.wire")
    assert {name for name in loaded if name.partition(".")[0] == "racs"} == {
        "racs",
        "racs.wire",
        "racs.wire.connection",
        "racs.wire.errors",
        "racs.wire.events",
        "racs.wire.frames",
        "racs.wire.replies",
    }


@pytest.mark.parametrize("name", racs.__all__)
def test_every_exported_name_is_there(name: str) -> None:
    assert getattr(racs, name).__name__ == name
    assert name in dir(racs)


def test_other_names_are_not() -> None:
    with pytest.raises(AttributeError, match="module 'racs' has no attribute 'nope'"):
        _ = racs.nope


def test_every_error_is_a_racs_exception() -> None:
    for name in racs.__all__:
        value = getattr(racs, name)
        if isinstance(value, type) and issubclass(value, BaseException):
            assert issubclass(value, racs.RacsException)
    assert issubclass(racs.RacsTimeout, TimeoutError | ConnectionError)

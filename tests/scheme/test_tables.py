"""Tables of source and value, chapter by chapter of R7RS-small, kept as text."""

from pathlib import Path

import pytest

from racs_server.scheme import Interpreter, SchemeError
from tests.scheme.conftest import Run

HERE = Path(__file__).parent


def rows(name: str) -> list[tuple[str, str]]:
    lines = HERE.joinpath(name).read_text("utf-8").splitlines()
    parts = [line.rpartition(" ==> ") for line in lines if line and not line.startswith("; ")]
    return [(source, expected) for source, _, expected in parts]


@pytest.mark.parametrize(("source", "expected"), rows("forms.txt"))
def test_form(run: Run, source: str, expected: str) -> None:
    assert run(source) == expected


@pytest.mark.parametrize(("source", "expected"), rows("procedures.txt"))
def test_procedure(run: Run, source: str, expected: str) -> None:
    assert run(source) == expected


@pytest.mark.parametrize(("source", "expected"), rows("errors.txt"))
def test_mistake(shared: Interpreter, source: str, expected: str) -> None:
    shared.forget()
    with pytest.raises(SchemeError) as caught:
        shared.evaluate(source.replace("\\n", "\n"))
    assert str(caught.value).replace("\n  at", " @") == expected

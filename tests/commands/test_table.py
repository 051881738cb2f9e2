"""The command table as a whole: what must hold for every row of it."""

import inspect

import pytest

from racs_server.commands import TABLE, CommandSpec
from racs_server.commands.check import check
from racs_server.lang import parse

ROWS = [*TABLE, *(spec.when_piped for spec in TABLE if spec.when_piped is not None)]
EVERY_COMMAND = pytest.mark.parametrize("spec", ROWS, ids=lambda spec: spec.name)


@EVERY_COMMAND
def test_its_example_passes_the_checks(spec: CommandSpec) -> None:
    steps = check(parse(spec.example), spec.example, TABLE)
    assert spec in [step.spec for step in steps]


@EVERY_COMMAND
def test_it_is_documented(spec: CommandSpec) -> None:
    docs = [spec.doc, *(param.doc for overload in spec.overloads for param in overload.params)]
    assert all(doc[0].isupper() or doc[0] == "*" for doc in docs)
    assert all(doc.endswith(".") for doc in docs)


@EVERY_COMMAND
def test_its_names_are_upper_case_words(spec: CommandSpec) -> None:
    for name in (spec.name, *spec.aliases):
        assert name == name.upper()
        found = TABLE.find(parse(name.lower()).commands[0].name)
        assert found is not None
        assert spec in (found, found.when_piped)


@EVERY_COMMAND
def test_its_handlers_have_the_parameters_that_the_row_says(spec: CommandSpec) -> None:
    for overload in spec.overloads:
        names = list(inspect.signature(overload.handler).parameters)
        before = 1 if spec.input is None else 2
        assert names[before:] == [param.name for param in overload.params]


def test_the_usage_names_the_parameters() -> None:
    spec = TABLE.find("CREATE")
    assert spec is not None
    assert spec.usage == "CREATE stream_id sample_rate channels bit_depth"

"""Values against the parameters of a rune."""

from typing import Any

import pytest

from racs_server.errors import RequestError
from racs_server.hub.contract import Contract, Excerpt, Upload, check_values, read_contract

DATA = {
    "method_name": "work",
    "name": "My Remote Code",
    "params": [
        {"name": "a", "type": "int", "default_value": 5, "ui_component": "RUNESNUMBERSLIDER"}
        | {"min": 0, "max": 10, "step": 1},
        {"name": "b", "type": "RunesFilePath", "default_value": None, "ui_component": None},
        {"name": "c", "type": "str", "default_value": "x", "ui_component": "RunesMultiChoice"}
        | {"options": ["x", "y"]},
        {"name": "d", "type": "float", "default_value": None},
        {"name": "e", "type": "bool", "default_value": None},
        {"name": "f", "type": "str", "default_value": None},
    ],
}


@pytest.fixture
def contract() -> Contract:
    return read_contract(DATA)


def test_what_is_left_out_has_its_default(contract: Contract) -> None:
    assert check_values(contract, {}) == {
        "a": 5,
        "b": None,
        "c": "x",
        "d": 0.0,
        "e": False,
        "f": "",
    }


@pytest.mark.parametrize(
    ("name", "value", "sent"),
    [
        ("a", 7.0, 7),
        ("d", 3, 3.0),
        ("e", True, True),
        ("f", "ü", "ü"),
        ("b", {"upload": "ab12"}, Upload("ab12")),
        ("b", "http://hub/uploads/ab12", Upload("ab12")),
        ("b", "", None),
        ("b", {"stream": "s", "start": 3, "stop": 9}, Excerpt("s", 3, 9)),
    ],
)
def test_values_get_the_type_of_the_contract(
    contract: Contract, name: str, value: Any, sent: Any
) -> None:
    found = check_values(contract, {name: value})[name]
    assert found == sent
    assert type(found) is type(sent)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("a", 11, "at most 10"),
        ("a", -1, "at least 0"),
        ("a", True, "a whole number"),
        ("a", 1.5, "a whole number"),
        ("a", "5", "a whole number"),
        ("c", "z", "one of 'x', 'y'"),
        ("d", float("nan"), "a number"),
        ("d", float("inf"), "a number"),
        ("e", 1, "true or false"),
        ("f", None, "text"),
        ("b", 3, "a file"),
        ("b", {"path": "/etc/passwd"}, "a file"),
    ],
)
def test_what_does_not_fit_is_told(
    contract: Contract, name: str, value: Any, expected: str
) -> None:
    with pytest.raises(RequestError, match=f"{name} = .*it must be .*{expected}"):
        check_values(contract, {name: value})


def test_unknown_parameters_are_told(contract: Contract) -> None:
    with pytest.raises(RequestError, match="no parameter 'g'; it has a, b"):
        check_values(contract, {"g": 1})


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (None, "no contract"),
        ({"params": []}, "method_name"),
        ({"method_name": "f", "params": [{"name": "a", "type": "list"}]}, "annotated with"),
        ({"method_name": "f", "params": [{"name": "a" * 37, "type": "int"}]}, "36 characters"),
        ({"method_name": "f", "params": [{"name": "a", "type": "int"}] * 13}, "at most 12"),
    ],
)
def test_what_is_no_contract_is_told(data: object, problem: str) -> None:
    with pytest.raises(RequestError, match=problem):
        read_contract(data)

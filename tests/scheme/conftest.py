from collections.abc import Callable

import pytest

from racs_server.scheme import Interpreter, SchemeError

Run = Callable[[str], str]


@pytest.fixture(scope="session")
def shared() -> Interpreter:
    return Interpreter()


@pytest.fixture
def run(shared: Interpreter) -> Run:
    """What a program's value prints as, or its error's message."""
    shared.forget()

    def run(text: str) -> str:
        try:
            return shared.print(shared.evaluate(text))
        except SchemeError as error:
            return f"error: {error.problem}"

    return run

"""What can go wrong with a Scheme program, and where in its text.

Every message says what was expected and what there was; the second line points to the expression.
Nothing here knows how programs are read or run.
"""

from typing import Any, Final

from racs_server.errors import RequestError


class Source:
    """A text that was read, kept so that errors can point into it.

    Parameters
    ----------
    text
        The program.
    name
        What to call it in messages; empty for the one that everybody means.
    hidden
        Whether it is nothing to the one who reads the message: errors in it are told as those of
        whoever called it.
    """

    __slots__ = ("hidden", "name", "text")

    def __init__(self, text: str, name: str = "", hidden: bool = False) -> None:
        self.text = text
        self.name = name
        self.hidden = hidden

    def line_and_column(self, offset: int) -> tuple[int, int]:
        """Return where a character stands, both counted from 1."""
        start = self.text.rfind("\n", 0, offset) + 1
        return self.text.count("\n", 0, offset) + 1, offset - start + 1


class Place:
    """Where an expression begins, and how it reads when it is quoted in a message.

    Parameters
    ----------
    source, offset
        The text and the position of its first character there.
    expression
        The expression, or None before there is one.
    """

    __slots__ = ("expression", "offset", "source")

    def __init__(self, source: Source, offset: int, expression: object = None) -> None:
        self.source = source
        self.offset = offset
        self.expression = expression

    @property
    def line(self) -> int:
        """The line, counted from 1."""
        return self.source.line_and_column(self.offset)[0]

    @property
    def column(self) -> int:
        """The column, counted from 1."""
        return self.source.line_and_column(self.offset)[1]

    def __str__(self) -> str:
        line, column = self.source.line_and_column(self.offset)
        name = f"{self.source.name}, " if self.source.name else ""
        return f"{name}line {line}, column {column}"


NO_PAYLOAD: Final = object()


class SchemeError(RequestError):
    """Base of everything that a Scheme text can do wrong.

    Parameters
    ----------
    problem
        What was expected, and what there was instead.
    place
        Where; filled in by whoever knows it first.
    payload
        The object that was raised, where the program itself raised one.

    Attributes
    ----------
    kind
        What a program that handles it can tell it by: ``error``, ``read`` or ``file``.
    """

    kind = "error"

    def __init__(self, problem: str, place: Place | None = None, payload: Any = NO_PAYLOAD) -> None:
        super().__init__(problem)
        self.problem = problem
        self.place = place
        self.payload = payload
        self.quotation = ""
        self.named = False
        self._unnamed = problem

    def name(self, who: str) -> None:
        """Put the name of the procedure that complains before the message, once."""
        if not self.named:
            self.rename(who)

    def rename(self, who: str) -> None:
        """Put the name of another procedure before the message, unless it stands for itself."""
        if not self.named or self.problem != self._unnamed:
            self.named = True
            self.problem = f"{who}: {self._unnamed}"

    def __str__(self) -> str:
        if self.place is None:
            return self.problem
        quotation = f": {self.quotation}" if self.quotation else ""
        return f"{self.problem}\n  at {self.place}{quotation}"


class ReadError(SchemeError):
    """The text is not Scheme: a bracket, a string or a number that cannot be."""

    kind = "read"


class FormError(SchemeError):
    """A form, such as ``let`` or ``define``, that is not written as its syntax asks."""


class EvaluationError(SchemeError):
    """The program went wrong while it ran, or raised an object that nobody handled."""


class FileError(EvaluationError):
    """The program wants a file, of which there are none."""

    kind = "file"


class WrongTypeError(EvaluationError):
    """A procedure was given something that it cannot work with.

    Parameters
    ----------
    expected
        What it wanted, with its article.
    quotation
        What it got, as it prints.
    """

    def __init__(self, expected: str, quotation: str) -> None:
        super().__init__(f"expected {expected}, got {quotation}")


class BudgetError(SchemeError):
    """The program used more than it was given; it cannot be handled by the program itself.

    Parameters
    ----------
    budget
        Which of the budgets: ``steps``, ``time``, ``memory``, ``integer``, ``output``,
        ``nesting``, ``source``.
    problem
        The message, which says how much there was.
    """

    def __init__(self, budget: str, problem: str) -> None:
        super().__init__(problem)
        self.budget = budget
        self.named = True

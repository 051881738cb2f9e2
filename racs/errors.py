"""Everything that the client raises.

Every message says what was wrong, with the value that was, where, what was expected, and what to
do. All are `RacsException`; where Python has a class of its own for the kind of trouble, they are
that too, so that ``except ConnectionError`` and ``except ValueError`` catch what they should.
"""


class RacsException(Exception):
    """Base of all errors of the client, and of all that the server answers with.

    Attributes
    ----------
    acknowledged
        For an error while audio was being sent: how many sample frames the server had acknowledged
        in one piece from the start of the data. `None` for all other errors.
    """

    acknowledged: int | None = None


class RacsServerError(RacsException):
    """The server answered with an error; the message is the server's own text.

    The connection is as good as before.
    """


class RacsAuthError(RacsServerError):
    """The server did not accept the user and password, or the token, that it was shown."""


class RacsConnectionError(RacsException, ConnectionError):
    """The server cannot be reached, or the connection broke; the message names host and port."""


class RacsTimeout(RacsConnectionError, TimeoutError):
    """The server did not answer within the time limit that was set."""


class RacsReplyLost(RacsConnectionError):
    """The connection ended while a reply was due: what was asked for may have been done or not."""


class RacsProtocolError(RacsConnectionError):
    """What came back is no RACS reply: most likely something else listens on that port."""


class RacsClosed(RacsException):
    """The client was used after its `close()`."""


class RacsValueError(RacsException, ValueError):
    """A value that cannot be used: out of range, the wrong length, the wrong audio format."""


class RacsTypeError(RacsException, TypeError):
    """A value of a type that cannot be used."""

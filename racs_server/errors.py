"""Everything that can go wrong, by whose fault it is.

Every message says what was wrong, with the value that was, where, what was expected, and what to
do. The text of a `RacsError` is what the client is sent; anything else that is raised is a mistake
of this program, and is logged with its traceback and answered with a plain "internal error".
"""


class RacsError(Exception):
    """Base of all errors that are reported to whoever caused them."""


class RequestError(RacsError):
    """The client's fault: the request cannot be carried out as it stands."""


class CommandError(RequestError):
    """A command text that cannot be parsed, or whose arguments do not fit."""


class StreamError(RequestError):
    """The stream is not in a state in which this can be done (missing, open, closed, in use)."""


class MissingError(StreamError):
    """There is no such stream, or no such file with it."""


class DataError(RequestError):
    """Audio that does not fit the stream that it was sent to."""


class LimitError(RequestError):
    """More was asked for than a limit allows; the limit is named."""


class BusyError(LimitError):
    """There is no room for it now, since others take it: it can be tried again later."""


class AccessError(RequestError):
    """The client may not do this, or has not shown who it is; nothing that it showed is quoted."""


class StorageError(RacsError):
    """The disk's fault: the operator has to look after it; nothing acknowledged was given up."""


class DiskFullError(StorageError):
    """There is no room; what was stored before is untouched, and appending resumes with room."""


class SyncFailedError(StorageError):
    """The disk failed to store; the stream takes no more audio until it is opened anew."""


class DamageError(StorageError):
    """Stored audio does not match its checksum; names the stream, the time and the file."""


class StartError(RacsError):
    """The operator's fault: the server cannot start as it was told to."""

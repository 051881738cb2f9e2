"""Files that are kept with streams, in the store: see `racs_server.storage.attachments`."""

from racs_server.errors import DamageError, StreamError
from racs_server.storage import attachments
from racs_server.storage.core import Core
from racs_server.storage.fs import Buffer
from racs_server.storage.stream import Stream, check_name
from racs_server.storage.upkeep import disk_error


class Attaching(Core):
    """The part of the store that keeps files with streams."""

    def check_attachment(self, stream_id: str, name: str, size: int = 0) -> None:
        """Raise `RacsError` unless a file of that name and size can be kept with a stream."""
        check_name(name, "file name")
        attachments.check_size(size)
        with self._lock:
            self._find(stream_id)

    def attach(self, stream_id: str, name: str, contents: Buffer) -> None:
        """Keep a file with a stream, in the place of one of the same name; blocks.

        Raises
        ------
        RequestError
            The name or the size is out of bounds.
        StreamError
            There is no such stream.
        StorageError
            The disk would not take it; what there was of that name is kept.
        """
        self.check_attachment(stream_id, name, len(contents))
        with self._lock:
            stream = self._find(stream_id)
        if stream.is_new:
            self.upkeep.settle(stream)
        with stream.io:
            self._refuse_deleted(stream)
            try:
                attachments.write(self._fs, stream.folder, name, contents)
            except OSError as error:
                what = f"{name!r} was not attached to stream {stream_id!r}"
                raise disk_error(what, error) from error

    def attachment(self, stream_id: str, name: str) -> bytes:
        """Return a file that is kept with a stream; blocks.

        Raises
        ------
        StreamError
            There is no such stream, or file.
        DamageError
            The file does not match its checksum.
        StorageError
            It cannot be read.
        """
        with self._lock:
            stream = self._find(stream_id)
        with stream.io:
            self._refuse_deleted(stream)
            try:
                return attachments.read(self._fs, stream.folder, name)
            except FileNotFoundError:
                raise attachments.missing(stream_id, name) from None
            except ValueError as error:
                path = attachments.file_name(stream.folder, name)
                raise DamageError(
                    f"attachment {name!r} of stream {stream_id!r} is damaged, in {path}: {error}"
                ) from None
            except OSError as error:
                raise disk_error(f"{name!r} of {stream_id!r} cannot be read", error) from error

    def attachments(self, stream_id: str) -> list[str]:
        """Return the names of the files kept with a stream, sorted; blocks; errors as above."""
        with self._lock:
            stream = self._find(stream_id)
        with stream.io:
            self._refuse_deleted(stream)
            try:
                return attachments.names(self._fs, stream.folder)
            except OSError as error:
                what = f"the attachments of stream {stream_id!r} cannot be listed"
                raise disk_error(what, error) from error

    def _refuse_deleted(self, stream: Stream) -> None:
        with self._lock:
            if self._find(stream.id) is not stream:
                raise StreamError(f"stream {stream.id!r} was deleted and made anew meanwhile")

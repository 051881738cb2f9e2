"""What encoders that write to a temporary file have in common."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import soundfile

from racs_server.errors import StorageError


@contextmanager
def storage_errors(name: str) -> Iterator[None]:
    """Turn what goes wrong with the temporary file of a format into `StorageError`."""
    try:
        yield
    except (OSError, soundfile.LibsndfileError) as error:
        raise StorageError(
            f"a {name} file could not be written to the folder for temporary files: {error}"
        ) from error


def write_all(file: BinaryIO, data: bytes | bytearray | memoryview, place: int) -> None:
    """Write bytes to a place of a file; `OSError` if it cannot be."""
    view = memoryview(data)
    while view:
        written = os.pwrite(file.fileno(), view, place)
        view, place = view[written:], place + written

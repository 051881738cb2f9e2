"""What an audio file format is to the rest of the program: a row of the table of formats.

There are two kinds. A format whose length is known beforehand gives its files piece by piece, as
they are sent. One whose length is not known before the last sample is written to a file, and sent
from there.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from racs_server.errors import RequestError
from racs_server.values import AudioFormat

Block = npt.NDArray[np.int32]
"""Interleaved samples with their values, whole sample frames, not empty."""

Buffer = bytes | memoryview


class Encoder(Protocol):
    """Writes one file; not to be used by two threads at once."""

    def write(self, block: Block) -> None:
        """Add samples: interleaved, shape (frames * channels,), dtype int32."""

    def finish(self) -> None:
        """Complete the file."""

    def abandon(self) -> None:
        """Free what the encoder holds; the file is of no use."""


class Streamed(msgspec.Struct, frozen=True):
    """A format whose length is known beforehand.

    Attributes
    ----------
    length
        Returns how many bytes a file of so many sample frames has.
    pieces
        Yields the file's bytes, given the format, the number of sample frames and their blocks.
    """

    length: Callable[[AudioFormat, int], int]
    pieces: Callable[[AudioFormat, int, Iterator[Block]], Iterator[Buffer]]


class Spooled(msgspec.Struct, frozen=True):
    """A format whose length is known when the file is complete.

    Attributes
    ----------
    begin
        Returns an encoder that writes to a seekable, empty file of the operating system.
    """

    begin: Callable[[AudioFormat, BinaryIO], Encoder]


class Codec(msgspec.Struct, frozen=True, kw_only=True):
    """One format.

    Attributes
    ----------
    mime_type, aliases
        Its names; the first is the canonical one.
    name
        As people call it.
    holds
        Whether its files can hold audio of a format.
    limits
        What they can hold, for people.
    way
        How its files are made.
    """

    mime_type: str
    aliases: tuple[str, ...] = ()
    name: str
    holds: Callable[[AudioFormat], bool]
    limits: str
    way: Streamed | Spooled

    def check(self, format_: AudioFormat) -> None:
        """Raise `RequestError`, which tells the limits, for audio that the format cannot hold."""
        if not self.holds(format_):
            raise RequestError(
                f"{self.name} ({self.mime_type}) cannot hold {format_}: it holds {self.limits}"
            )


class CodecTable:
    """All formats.

    Parameters
    ----------
    codecs
        The rows.
    """

    def __init__(self, codecs: Iterable[Codec]) -> None:
        self._codecs = tuple(codecs)
        self._by_name: dict[str, Codec] = {}
        for codec in self._codecs:
            for name in (codec.mime_type, *codec.aliases):
                if name in self._by_name:
                    raise ValueError(f"two formats are named {name}")
                self._by_name[name] = codec

    def __iter__(self) -> Iterator[Codec]:
        return iter(self._codecs)

    def __repr__(self) -> str:
        return f"<CodecTable: {', '.join(self.names)}>"

    @property
    def names(self) -> tuple[str, ...]:
        """All MIME types, aliases too."""
        return tuple(self._by_name)

    def find(self, mime_type: str) -> Codec:
        """Return the format of a MIME type.

        Raises
        ------
        RequestError
            None has that name; those that there are, are listed.
        """
        try:
            return self._by_name[mime_type]
        except KeyError:
            raise RequestError(
                f"there is no format {mime_type!r}; there are {', '.join(self.names)}"
            ) from None

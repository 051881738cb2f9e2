"""What an audio file format is to the rest of the program: a row of the table of formats.

There are two kinds. A format whose length is known beforehand gives its files piece by piece, as
they are sent. One whose length is not known before the last sample is written to a file, and sent
from there.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import BinaryIO, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from racs_server.errors import RequestError
from racs_server.values import AudioFormat, Tags

Block = npt.NDArray[np.int32]
"""Interleaved samples with their values, whole sample frames, not empty."""

Buffer = bytes | memoryview

MAX_CHUNKS = 2**32 - 1
"""The most bytes of a file of chunks, whose sizes have 32 bits."""


class Wanted(msgspec.Struct, frozen=True):
    """A file that is asked for: all that is known of it before its audio is read.

    Attributes
    ----------
    format
        The audio's.
    frames
        How many sample frames it has.
    tags
        What the file is to tell of it, if it can.
    bit_rate
        The format's `Setting`, a bit rate or what it has in its place; 0 where it has none.
    """

    format: AudioFormat
    frames: int
    tags: Tags = Tags()
    bit_rate: int = 0


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
        Returns how many bytes a file has.
    pieces
        Yields the file's bytes, given its blocks.
    head
        Returns how many bytes stand before the PCM, in a file that is nothing but these and packed
        PCM: with blocks from a later sample frame on, its `pieces` are the head and the PCM from
        there. None: the file is not like that.
    most
        The most bytes that a file can have.
    packed
        Yields the file's bytes, given its PCM in pieces, packed as streams have it. None: files
        hold something else.
    """

    length: Callable[[Wanted], int]
    pieces: Callable[[Wanted, Iterator[Block]], Iterator[Buffer]]
    head: Callable[[Wanted], int] | None = None
    most: int = MAX_CHUNKS
    packed: Callable[[Wanted, Iterator[Buffer]], Iterator[Buffer]] | None = None


class Spooled(msgspec.Struct, frozen=True):
    """A format whose length is known when the file is complete.

    Attributes
    ----------
    begin
        Returns an encoder that writes to a seekable, empty file of the operating system.
    most_bytes
        Returns about how many bytes a file can get, at most.
    """

    begin: Callable[[Wanted, BinaryIO], Encoder]
    most_bytes: Callable[[Wanted], int]


class Setting(msgspec.Struct, frozen=True):
    """The number that a lossy format takes: how much room, or how good.

    Attributes
    ----------
    name, unit
        What it is.
    allowed
        Returns all the values that it can have for a format, in order.
    usual
        Returns the one that it has where none is given.
    """

    name: str
    unit: str
    allowed: Callable[[AudioFormat], Sequence[int]]
    usual: Callable[[AudioFormat], int]


class Codec(msgspec.Struct, frozen=True, kw_only=True):
    """One format.

    Attributes
    ----------
    mime_type, aliases
        Its names; the first is the canonical one.
    name
        As people call it.
    way
        How its files are made.
    holds
        Whether its files can hold audio of a format.
    limits
        What they can hold, for people.
    setting
        The number that can be given for them, if any.
    """

    mime_type: str
    aliases: tuple[str, ...] = ()
    name: str
    way: Streamed | Spooled
    holds: Callable[[AudioFormat], bool] = lambda format_: True
    limits: str = "every format that a stream can have"
    setting: Setting | None = None

    def check(self, format_: AudioFormat, bit_rate: int | None = None) -> None:
        """Raise `RequestError` for what the format cannot hold, with what it can.

        Parameters
        ----------
        format_
            The audio's.
        bit_rate
            The setting, or None: the usual one.
        """
        if not self.holds(format_):
            raise RequestError(
                f"{self.name} ({self.mime_type}) cannot hold {format_}: it holds {self.limits}."
                " Ask FORMAT for one of these: it converts the audio"
            )
        if bit_rate is None:
            return
        if self.setting is None:
            raise RequestError(
                f"{self.name} ({self.mime_type}) has no bit rate to be set, and {bit_rate} was"
                " given: leave it out"
            )
        allowed = self.setting.allowed(format_)
        if bit_rate not in allowed:
            raise RequestError(
                f"{self.name} ({self.mime_type}): a {self.setting.name} of {bit_rate}"
                f"{self.setting.unit}; for {format_} it can be {_listed(allowed)}"
                f"{self.setting.unit}"
            )

    def wanted(
        self, format_: AudioFormat, frames: int, tags: Tags, bit_rate: int | None = None
    ) -> Wanted:
        """Describe a file of audio that passed `check`."""
        if bit_rate is None:
            bit_rate = self.setting.usual(format_) if self.setting else 0
        return Wanted(format_, frames, tags, bit_rate)


def _listed(numbers: Sequence[int]) -> str:
    if isinstance(numbers, range):
        return f"{numbers[0]} to {numbers[-1]}"
    return ", ".join(map(str, numbers[:-1])) + f" or {numbers[-1]}"


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

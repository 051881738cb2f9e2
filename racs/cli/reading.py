"""A stream's audio by sample frames: in pieces, each asked for when the one before it has come."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from racs.cli.session import Facts, range_text
from racs.pcm import to_pcm

if TYPE_CHECKING:
    from racs.client import Racs

_PIECE = 1 << 19
"""Samples in a piece: 2 MiB of a reply."""


def iter_frames(client: "Racs", facts: Facts, first: int, stop: int) -> Iterator[NDArray[np.int32]]:
    """Yield the sample frames from `first` up to `stop`, interleaved, in pieces.

    Raises
    ------
    RacsException
        They cannot be read.
    """
    step = max(_PIECE // facts.channels, 1)
    for start in range(first, stop, step):
        yield client.execute_command(range_text(facts, start, min(start + step, stop)))


def iter_pcm(client: "Racs", facts: Facts, first: int, stop: int) -> Iterator[memoryview]:
    """Yield the same as packed PCM, little-endian."""
    for piece in iter_frames(client, facts, first, stop):
        yield to_pcm(piece, facts.bit_depth)

"""What results of commands come to: the samples of audio, the bytes of files."""

import tempfile
from contextlib import closing
from pathlib import Path

import numpy as np
import numpy.typing as npt

from racs_server.commands import Encoding, Reader, Value, iter_blocks
from racs_server.values import AudioPlan, EncodedPlan


def samples(store: Reader, value: Value) -> npt.NDArray[np.int32]:
    """Return audio as an array of shape (frames, channels)."""
    assert isinstance(value, AudioPlan)
    blocks = list(iter_blocks(store, value))
    assert all(block.size and block.dtype == np.int32 and block.ndim == 1 for block in blocks)
    joined = np.concatenate([np.empty(0, np.int32), *blocks])
    assert joined.size == value.samples
    return joined.reshape(-1, value.format.channels)


def file_bytes(store: Reader, value: Value) -> bytes:
    """Return a whole file."""
    assert isinstance(value, EncodedPlan)
    with closing(Encoding(store, value, Path(tempfile.gettempdir()))) as encoding:
        while encoding.size is None:
            encoding.advance()
        data = b"".join(iter(encoding.read, None))
    assert len(data) == encoding.size
    return data

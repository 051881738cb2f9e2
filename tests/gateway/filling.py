"""Streams with audio."""

import numpy as np
import numpy.typing as npt

from racs.wire import Frame, stream_hash
from racs_server.storage import Store
from racs_server.values import AudioFormat


def fill(store: Store, stream_id: str, samples: npt.NDArray[np.generic], *format_: int) -> None:
    """Make a closed stream of 16-bit samples, interleaved."""
    rate, channels = format_ or (8000, 1)
    store.create(stream_id, AudioFormat(rate, channels, 16))
    store.open_stream(stream_id)
    pcm = samples.astype("<i2").tobytes()
    store.append([Frame(stream_hash(stream_id), b"s" * 16, pcm, None)])
    store.close_stream(stream_id)

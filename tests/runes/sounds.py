"""Audio files of every kind, and what a stream is to have of them."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from racs import Racs
from racs.runes import Run

RATE = 48_000


def noise(frames: int, channels: int, depth: int, seed: int = 0) -> npt.NDArray[np.int32]:
    """Return whole numbers of a bit depth, shape (frames, channels), both ends among them."""
    top = 1 << depth - 1
    values = np.random.default_rng(seed).integers(-top, top, (frames, channels), np.int32)
    values[:1], values[1:2] = -top, top - 1
    return values


def write(path: Path, values: npt.NDArray[np.int32], depth: int, **options: object) -> Path:
    """Write whole numbers of a bit depth as an audio file of that depth."""
    soundfile.write(path, values << (32 - depth), RATE, f"PCM_{depth}", **options)
    return path


def archived(store: Racs, stream_id: str) -> list[int]:
    """Return all samples of a stream."""
    samples: list[int] = store.pipeline().extract(stream_id, 0, 2**53).execute().tolist()
    return samples


def files_of(run: Run) -> dict[str, tuple[str, bool]]:
    """Return what a run gave out: the stream of each name, and whether the file is kept too."""
    return {f.name: (f.stream, bool(f.attachment)) for f in run.outputs}

"""Processing by plain numpy, on whole arrays of shape (frames, channels): what plans must equal."""

import math
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from racs_server.audio.dsp import remix_matrix

Audio = npt.NDArray[np.int64]


def rounded(values: npt.NDArray[np.floating], depth: int) -> Audio:
    limit = 2 ** (depth - 1)
    result: Audio = np.clip(np.rint(values), -limit, limit - 1).astype(np.int64)
    return result


def gain(audio: Audio, depth: int, factor: float) -> Audio:
    return rounded(audio * factor, depth)


def trim(audio: Audio, rate: int, left: Fraction, right: Fraction) -> Audio:
    count = len(audio)
    kept = [i for i in range(count) if left <= Fraction(i, rate) < Fraction(count, rate) - right]
    return audio[kept[0] : kept[-1] + 1] if kept else audio[:0]


def pad(audio: Audio, rate: int, left: Fraction, right: Fraction) -> Audio:
    widths = (math.ceil(left * rate), math.ceil(right * rate))
    return np.pad(audio, (widths, (0, 0)))


def fade(audio: Audio, depth: int, rate: int, rise: Fraction, fall: Fraction) -> Audio:
    count = len(audio)
    scale = np.ones(count)
    for seconds, order in ((rise, 1), (fall, -1)):
        length = math.ceil(seconds * rate)
        ramp = np.minimum(np.arange(count) / length, 1.0) if length else np.ones(count)
        scale *= ramp[::order]
    return rounded(audio * scale[:, None], depth)


def pan(audio: Audio, depth: int, position: float) -> Audio:
    result = audio.copy()
    side = 0 if position > 0 else 1
    result[:, side] = rounded(audio[:, side] * (1.0 - abs(position)), depth)
    return result


def clip(audio: Audio, depth: int, least: int, most: int) -> Audio:
    limit = 2 ** (depth - 1)
    return np.clip(np.clip(audio, least, most), -limit, limit - 1)


def remix(audio: Audio, depth: int, channels: int) -> Audio:
    """Take the factors as they are: `test_remix` compares them with some worked out by hand."""
    return rounded(audio @ np.array(remix_matrix(audio.shape[1], channels)).T, depth)


def requantize(audio: Audio, depth: int, wanted: int) -> Audio:
    return rounded(audio * 2.0 ** (wanted - depth), wanted)


def mix(left: Audio, right: Audio, depth: int) -> Audio:
    limit = 2 ** (depth - 1)
    return np.clip(sum(_level(left, right)), -limit, limit - 1)


def merge(left: Audio, right: Audio) -> Audio:
    return np.concatenate(_level(left, right), axis=1)


def _level(left: Audio, right: Audio) -> list[Audio]:
    count = max(len(left), len(right))
    return [np.pad(each, ((0, count - len(each)), (0, 0))) for each in (left, right)]

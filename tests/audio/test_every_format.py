"""Full-scale squares and sines at every rate in every format that holds them, and resampled.

Files are read by libsndfile, raw PCM by numpy.
"""

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from racs_server.audio import pcm
from racs_server.audio.codecs import CODECS, Codec
from racs_server.audio.codecs.opus import RATE as OPUS_RATE
from racs_server.audio.render import render
from racs_server.values import AudioFormat, converting
from tests.audio.files import encoded
from tests.audio.sources import Arrays

RATES = (8000, 11_025, 22_050, 44_056, 44_100, 48_000, 96_000, 192_000)
SECONDS = 0.15
SQUARE, SINE = 50, 440
"""Hz."""

RAW = {"audio/l16": ("big", 16), "audio/l24": ("big", 24), "audio/x-raw": ("little", None)}
LOSSY = {"audio/mpeg", "audio/ogg", "audio/vorbis"}
WAVEFORMS = {"audio/x-waveform-data", "audio/x-waveform-data+json"}
SOUNDS = [codec for codec in CODECS if codec.mime_type not in WAVEFORMS]

Floats = npt.NDArray[np.float64]


def sine(rate: int, count: int) -> Floats:
    return np.sin(2 * np.pi * SINE * np.arange(count) / rate)


def square(rate: int, count: int) -> Floats:
    return np.where((np.arange(count) * 2 * SQUARE // rate) % 2, -1.0, 1.0)


def in_halves(rate: int, count: int) -> npt.NDArray[np.bool_]:
    """Return which samples of a square lie away from its edges, where a filter rings."""
    phase = (np.arange(count) * 2 * SQUARE / rate) % 1
    return np.asarray((phase > 0.2) & (phase < 0.8))


def full_scale(signal: Floats, channels: int, depth: int) -> npt.NDArray[np.int32]:
    """Return a signal in every channel, inverted in every other one: shape (frames, channels)."""
    limit = 2 ** (depth - 1)
    samples = np.clip(np.rint(signal * limit), -limit, limit - 1).astype(np.int32)
    turned = np.clip(-samples, -limit, limit - 1)
    return np.stack([turned if channel % 2 else samples for channel in range(channels)], axis=1)


def formats(codec: Codec, rate: int) -> list[AudioFormat]:
    every = (AudioFormat(rate, channels, depth) for channels in (1, 2, 6) for depth in (16, 24))
    return [each for each in every if codec.holds(each)]


def file_of(codec: Codec, format_: AudioFormat, samples: np.ndarray, folder: Path) -> bytes:
    """Return the file of all samples at once, having made it out of odd blocks too."""
    whole = encoded(codec.mime_type, format_, [samples.reshape(-1)], folder)
    cuts = np.cumsum([1, 2, 777, 1025, 960]) % len(samples)
    parts = [part.reshape(-1) for part in np.split(samples, np.unique(cuts)) if part.size]
    assert encoded(codec.mime_type, format_, parts, folder) == whole
    return whole


def read_lossless(codec: Codec, data: bytes, format_: AudioFormat) -> npt.NDArray[np.int32]:
    if codec.mime_type in RAW:
        order, _ = RAW[codec.mime_type]
        if order == "big":
            step = format_.bit_depth // 8
            data = np.frombuffer(data, np.uint8).reshape(-1, step)[:, ::-1].tobytes()
        return pcm.unpack(data, format_.bit_depth).reshape(-1, format_.channels)
    samples, rate = soundfile.read(io.BytesIO(data), dtype="int32", always_2d=True)
    assert rate == format_.sample_rate
    return np.asarray(samples >> 32 - format_.bit_depth)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(
    "codec", [each for each in SOUNDS if each.mime_type not in LOSSY], ids=lambda codec: codec.name
)
def test_lossless_formats_hold_every_sample(codec: Codec, rate: int, tmp_path: Path) -> None:
    fitting = formats(codec, rate)
    if codec.mime_type == "audio/flac" and rate == 192_000:
        assert len(fitting) == 6
    count = int(SECONDS * rate)
    for format_ in fitting:
        for signal in (sine(rate, count), square(rate, count)):
            samples = full_scale(signal, format_.channels, format_.bit_depth)
            found = read_lossless(codec, file_of(codec, format_, samples, tmp_path), format_)
            assert np.array_equal(found, samples), format_


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("mime_type", sorted(LOSSY))
def test_lossy_formats_keep_place_level_and_length(
    mime_type: str, rate: int, tmp_path: Path
) -> None:
    codec = CODECS.find(mime_type)
    count = int(SECONDS * rate)
    for format_ in formats(codec, rate):
        for made in (sine, square):
            samples = full_scale(made(rate, count), format_.channels, format_.bit_depth)
            data = file_of(codec, format_, samples, tmp_path)
            found, found_rate = soundfile.read(io.BytesIO(data), always_2d=True)
            if codec.name == "Opus":  # which libsndfile decodes at a lower rate where that will do
                assert OPUS_RATE % found_rate == 0
                exact = -(-count * OPUS_RATE // rate) * found_rate / OPUS_RATE
                assert abs(len(found) - exact) < 1, format_
            else:
                assert (len(found), found_rate) == (count, rate), format_
            expected = made(found_rate, len(found))
            for channel, wave in enumerate(found.T):
                upright = -wave if channel % 2 else wave
                if made is sine:
                    keeps_a_sine(upright, expected)
                else:
                    keeps_a_square(upright, expected, found_rate)


def keeps_a_sine(found: Floats, expected: Floats) -> None:
    """Compare the middle: level within 0.6 dB, the rest 20 dB below it, at no shift but 0."""
    inner = slice(len(expected) // 4, -len(expected) // 4)
    part = found[inner]
    shifted = [float(np.dot(part, np.roll(expected, by)[inner])) for by in range(-4, 5)]
    assert int(np.argmax(shifted)) == 4
    wave = expected[inner]
    level = shifted[4] / float(np.dot(wave, wave))
    assert abs(20 * np.log10(level)) < 0.6
    assert np.std(part - level * wave) < 0.1 * np.std(wave)


def keeps_a_square(found: Floats, expected: Floats, rate: int) -> None:
    """Nothing has wrapped: away from its edges, each half has its sign, and nearly its level."""
    inner = in_halves(rate, len(expected))
    inner[: len(inner) // 8] = inner[-len(inner) // 8 :] = False
    assert np.all(found[inner] * expected[inner] > 0)
    assert np.mean(np.abs(found[inner])) == pytest.approx(1, abs=0.08)


@pytest.mark.parametrize("after", RATES)
@pytest.mark.parametrize("before", RATES)
def test_any_rate_becomes_any_other(before: int, after: int) -> None:
    count = int(SECONDS * before)
    for depth in (16, 24):
        limit = 2 ** (depth - 1)
        for made in (sine, square):
            source = Arrays(piece=777)
            stream = source.add(
                full_scale(made(before, count), 2, depth), AudioFormat(before, 2, depth)
            )
            plan = converting.convert(stream, AudioFormat(after, 2, depth))
            found = np.concatenate(list(render(plan, source.read))).reshape(-1, 2) / limit
            assert len(found) == -(-count * after // before)
            expected = made(after, len(found))
            if made is sine:
                keeps_a_sine(found[:, 0], expected)
                keeps_a_sine(-found[:, 1], expected)
            else:
                keeps_a_square(found[:, 0], expected, after)
                keeps_a_square(-found[:, 1], expected, after)

"""Sample rates: the sound that comes out, measured; where it lies; how much of it there is."""

import itertools
import tracemalloc
from collections.abc import Iterator
from fractions import Fraction
from math import ceil

import numpy as np
import numpy.typing as npt
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from racs_server.audio import render as room
from racs_server.audio import resample
from racs_server.audio.render import render
from racs_server.values import AudioFormat, AudioPlan, StreamRange, building, converting
from tests.audio import model
from tests.audio.sources import Arrays, Endless

PAIRS = [
    (44_100, 48_000),
    (48_000, 44_100),
    (8000, 44_100),
    (11_025, 48_000),
    (22_050, 16_000),
    (44_056, 44_100),
    (44_100, 44_056),
    (96_000, 44_100),
    (192_000, 48_000),
    (48_000, 192_000),
    (12_345, 44_100),
    (44_100, 44_099),
]
FULL = 2**23 - 1


def resampled(
    audio: npt.NDArray[np.integer], before: int, after: int, depth: int = 24
) -> model.Audio:
    source = Arrays()
    audio = audio if audio.ndim == 2 else audio[:, np.newaxis]
    stream = source.add(audio, AudioFormat(before, audio.shape[1], depth))
    return read(source, converting.resample(stream, after))


def read(source: Arrays, plan: AudioPlan, start: int = 0, stop: int | None = None) -> model.Audio:
    blocks = list(render(plan, source.read, start, stop))
    return np.concatenate([np.empty(0, np.int64), *blocks]).reshape(-1, plan.format.channels)


def sine(rate: int, frequency: float, seconds: float = 2, level: float = 0.9) -> model.Audio:
    """Return a sine at 24 bits, dithered, so that what it lacks of a sine is white noise."""
    count = int(rate * seconds)
    rng = np.random.default_rng(1)
    wave = level * FULL * np.sin(2 * np.pi * frequency * np.arange(count) / rate)
    return np.rint(wave + rng.uniform(-1, 1, count) / 2 + rng.uniform(-1, 1, count) / 2).astype(int)


def decibels(power: float) -> float:
    return float(10 * np.log10(power + 1e-30))


def inner(audio: model.Audio) -> npt.NDArray[np.float64]:
    """Return the middle half of mono audio: what its ends do is another matter."""
    count = len(audio)
    return audio.ravel()[count // 4 : count * 3 // 4] / FULL


def compare(audio: model.Audio, rate: int, frequency: float) -> tuple[float, float]:
    """Return the level of a sine, and that of all else, in dB of a full-scale sine."""
    part = inner(audio)
    phase = 2 * np.pi * frequency * np.arange(len(part)) / rate
    swing = np.stack([np.sin(phase), np.cos(phase)], axis=1)
    # odd ratios are off by less than 2^-32: no distortion, but a sine of another frequency
    basis = np.concatenate([swing, swing * np.linspace(-1, 1, len(part))[:, np.newaxis]], axis=1)
    found, *_ = np.linalg.lstsq(basis, part, rcond=None)
    rest = part - basis @ found
    return decibels(float(found[:2] @ found[:2])), decibels(2 * float(np.mean(rest**2)))


# ---------------------------------------------------------------------- quality


@pytest.mark.parametrize(("before", "after"), PAIRS)
def test_a_sine_stays_a_sine(before: int, after: int) -> None:
    lower = min(before, after)
    for frequency in (997, 0.3 * lower, 0.4 * lower):
        level, rest = compare(resampled(sine(before, frequency), before, after), after, frequency)
        assert level == pytest.approx(20 * np.log10(0.9), abs=0.003)
        assert rest < -130  # dither and the rounding of 24 bits alone are at -138


@pytest.mark.parametrize(("before", "after"), PAIRS)
def test_the_pass_band_is_flat_and_what_lies_above_is_gone(before: int, after: int) -> None:
    nyquist = min(before, after) / 2
    level, _ = compare(resampled(sine(before, 0.9 * nyquist), before, after), after, 0.9 * nyquist)
    assert level == pytest.approx(20 * np.log10(0.9), abs=0.01)
    for place in (1.01, 1.2, 1.7):
        if place * nyquist < before / 2:
            alias = inner(resampled(sine(before, place * nyquist), before, after))
            assert decibels(2 * float(np.mean(alias**2))) < -130


# ---------------------------------------------------------------------- place and length


@pytest.mark.parametrize(("before", "after"), PAIRS)
@pytest.mark.parametrize("place", [0, 1, 1000, 9999])
def test_an_impulse_stays_in_its_place(before: int, after: int, place: int) -> None:
    audio = np.zeros(10_000, int)
    audio[place] = FULL
    peak = int(np.abs(resampled(audio, before, after)).argmax())
    exact = place * after / before
    # at the very end the nearest frame may lie behind the last one
    assert abs(peak - exact) <= 0.5 or peak == ceil(10_000 * after / before) - 1


@pytest.mark.parametrize(("before", "after"), PAIRS)
@pytest.mark.parametrize("frames", [0, 1, 2, 147, 10_001])
def test_frames_are_all_those_that_begin_before_the_end(
    before: int, after: int, frames: int
) -> None:
    audio = np.full((frames, 2), 1000)
    found = resampled(audio, before, after, depth=16)
    assert found.shape == (-(-frames * after // before), 2)


# ---------------------------------------------------------------------- blocks and parts


def whole(audio: model.Audio, before: int, after: int, depth: int) -> model.Audio:
    """Resample all at once, between stretches of silence, and round as it is documented."""
    lead = -resample.first_input(0, (before, after))
    ahead, behind = (np.zeros((count, audio.shape[1])) for count in (lead, before))
    exact = soxr.resample(np.concatenate([ahead, audio, behind]), before, after, "VHQ")
    first = lead * after // before
    count = ceil(len(audio) * after / before)
    return model.rounded(np.rint(exact[first : first + count] * 2**24) / 2**24, depth)


@settings(deadline=None, max_examples=30)
@given(data=st.data())
def test_neither_blocks_nor_parts_can_be_heard(data: st.DataObject) -> None:
    before, after = data.draw(st.sampled_from(PAIRS))
    channels, depth = data.draw(st.integers(1, 3)), data.draw(st.sampled_from([16, 24]))
    limit = 2 ** (depth - 1)
    frames = data.draw(st.integers(0, 5000))
    audio = np.random.default_rng(frames).integers(-limit, limit, (frames, channels))
    source = Arrays(piece=data.draw(st.integers(1, 6000)))
    plan = converting.resample(source.add(audio, AudioFormat(before, channels, depth)), after)
    expected = whole(audio, before, after, depth)
    start = data.draw(st.integers(0, plan.frames))
    stop = data.draw(st.integers(start, plan.frames))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resample, "INPUT_SAMPLES", data.draw(st.integers(500, 20_000)))
        patch.setattr(room, "BLOCK_SAMPLES", data.draw(st.integers(500, 20_000)))
        assert np.array_equal(read(source, plan), expected)
        assert np.array_equal(read(source, plan, start, stop), expected[start:stop])


@pytest.mark.parametrize(("before", "after"), PAIRS)
def test_a_part_far_in_is_begun_a_little_before_it(
    before: int, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(2)
    audio = rng.integers(-(2**15), 2**15, (3 * before, 1))
    source = Arrays()
    plan = converting.resample(source.add(audio, AudioFormat(before, 1, 16)), after)
    expected = whole(audio, before, after, 16)
    monkeypatch.setattr(resample, "RUN_IN", 0)
    for start in (1, after // 2, 2 * after + 1, 3 * after - 1):
        difference = np.abs(read(source, plan, start) - expected[start:])
        assert difference.max() <= (1 if max(before, after) % 1000 else 0)
        assert np.count_nonzero(difference) <= 0.3 * len(difference)


def test_a_part_of_a_long_stream_reads_little() -> None:
    source = Endless()
    day = StreamRange("day", 1, 0, 44_100 * 86_400, AudioFormat(44_100, 2, 16))
    plan = converting.resample(day, 48_000)
    start = 80_000 * 48_000
    assert sum(block.size for block in render(plan, source.read, start, start + 1000)) == 2000
    assert source.frames_read < 10_000


@pytest.mark.parametrize(("before", "after"), [(8000, 192_000), (192_000, 8000)])
def test_memory_is_bounded(before: int, after: int) -> None:
    stream = StreamRange("long", 1, 0, before * 60, AudioFormat(before, 2, 24))
    plan = converting.resample(stream, after)
    tracemalloc.start()
    try:
        count = sum(block.size for block in render(plan, Endless().read))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == plan.samples
    assert most < 16 << 20


# ---------------------------------------------------------------------- overload


@pytest.mark.parametrize(("before", "after"), [(44_100, 48_000), (48_000, 44_100), (8000, 96_000)])
@pytest.mark.parametrize("depth", [16, 24])
def test_full_scale_squares_saturate(before: int, after: int, depth: int) -> None:
    limit = 2 ** (depth - 1)
    square = np.where(np.arange(20_000) // 100 % 2, limit - 1, -limit)
    found = resampled(square, before, after, depth).ravel()
    assert found.min() == -limit
    assert found.max() == limit - 1
    times = (np.arange(len(found)) * before / after) % 200
    # away from the edges each half has its sign: nothing has wrapped
    assert np.all(found[(times > 105) & (times < 195)] > 0.9 * limit)
    assert np.all(found[(times > 5) & (times < 95)] < -0.9 * limit)


def test_steady_audio_stays_what_it_is() -> None:
    for value in (0, 1, -1, 32_767, -32_768):
        found = resampled(np.full(60_000, value), 44_100, 48_000, 16).ravel()
        assert np.all(found[2000:-2000] == value)


# ---------------------------------------------------------------------- with the rest


def test_it_works_with_everything_else() -> None:
    rng = np.random.default_rng(4)
    audio = rng.integers(-(2**15), 2**15, (50_000, 2))
    source = Arrays()
    stream = source.add(audio, AudioFormat(44_100, 2, 16))
    other = source.add(audio[:9000], AudioFormat(48_000, 2, 16))
    up = converting.resample(stream, 48_000)
    plan = building.mix(building.gain(up, Fraction("0.5")), other)
    assert plan.format == AudioFormat(48_000, 2, 16)
    expected = model.mix(model.gain(whole(audio, 44_100, 48_000, 16), 16, 0.5), audio[:9000], 16)
    assert np.array_equal(read(source, plan), expected)


def test_errors_of_the_stream_come_through() -> None:
    def broken(plan: StreamRange) -> Iterator[memoryview]:
        yield from itertools.islice(Endless().read(plan), 1)
        raise OSError("gone")

    stream = StreamRange("a", 1, 0, 100_000, AudioFormat(44_100, 1, 16))
    with pytest.raises(OSError, match="gone"):
        list(render(converting.resample(stream, 48_000), broken))

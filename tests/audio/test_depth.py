"""Bit depths: exact where they can be, dithered where not, the same however they are read."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from racs_server.audio import render as room
from racs_server.audio.dsp import DITHER_FRAMES, Dither
from racs_server.audio.render import render
from racs_server.values import AudioFormat, AudioPlan, building, converting
from tests.audio import model
from tests.audio.sources import Arrays

MONO = AudioFormat(48_000, 1, 24)


def read(source: Arrays, plan: AudioPlan, start: int = 0, stop: int | None = None) -> model.Audio:
    blocks = list(render(plan, source.read, start, stop))
    return np.concatenate([np.empty(0, np.int64), *blocks]).reshape(-1, plan.format.channels)


def to_16(audio: np.ndarray, seed: int | None = 0) -> np.ndarray:
    source = Arrays()
    stream = source.add(audio.reshape(-1, 1), MONO)
    return read(source, converting.requantize(stream, 16, seed)).ravel()


def correlation(left: np.ndarray, right: np.ndarray) -> float:
    first, second = left - left.mean(), right - right.mean()
    return float(np.mean(first * second) / (first.std() * second.std()))


def test_16_to_24_to_16_is_the_identity() -> None:
    audio = np.random.default_rng(1).integers(-(2**15), 2**15, (70_001, 2))
    source = Arrays()
    deep = converting.requantize(source.add(audio, AudioFormat(44_100, 2, 16)), 24)
    assert np.array_equal(read(source, deep), audio * 256)
    for seed in (0, 7, None):
        assert np.array_equal(read(source, converting.requantize(deep, 16, seed)), audio)


def test_without_dither_samples_are_rounded_half_to_even_and_saturate() -> None:
    audio = np.array([127, 128, 129, 384, -128, -384, 2**23 - 1, 2**23 - 129, -(2**23)])
    assert to_16(audio, None).tolist() == [0, 0, 1, 2, 0, -2, 32_767, 32_767, -32_768]


def test_dither_saturates() -> None:
    assert set(to_16(np.full(5000, 2**23 - 1))) == {32_767}
    assert set(to_16(np.full(5000, -(2**23) + 1))) == {-32_768, -32_767}


@pytest.mark.parametrize("value", [1, 100, 128, -77, 1000])
def test_mean_and_power_of_the_error_do_not_depend_on_the_audio(value: int) -> None:
    count = 400_000
    error = to_16(np.full(count, value)) - value / 256
    # triangular dither and rounding: variance 1/6 + 1/12 of a step squared
    assert abs(error.mean()) < 5 * 0.5 / np.sqrt(count)
    assert error.var() == pytest.approx(0.25, rel=0.02)
    assert np.abs(error).max() < 1.5


def test_the_error_is_white() -> None:
    error = to_16(np.full(2**19, 77)) - 77 / 256
    spectrum = np.abs(np.fft.rfft(error.reshape(-1, 1024), axis=1)[:, 1:-1]) ** 2
    power = spectrum.mean(axis=0) / 1024
    assert power.max() < 0.25 * 1.35
    assert power.min() > 0.25 * 0.65


def test_a_sine_below_the_last_bit_is_kept_in_the_noise() -> None:
    phase = 2 * np.pi * 1000 * np.arange(480_000) / 48_000
    audio = np.rint(100 * np.sin(phase)).astype(int)  # 0.4 of a step of 16 bits
    assert not to_16(audio, None).any()
    found = 2 * np.mean(to_16(audio) * np.sin(phase))
    assert found == pytest.approx(100 / 256, abs=0.01)


def test_equal_seeds_give_equal_samples_and_others_others() -> None:
    audio = np.random.default_rng(2).integers(-1000, 1000, 10_000)
    assert np.array_equal(to_16(audio), to_16(audio, 0))
    assert np.array_equal(to_16(audio, 2**63 - 1), to_16(audio, 2**63 - 1))
    first, second = to_16(audio, 1), to_16(audio, 2)
    assert not np.array_equal(first, second)
    errors = [each - audio / 256 for each in (first, second)]
    assert abs(correlation(*errors)) < 0.5  # each has its own dither, both the same rounding


def test_the_dither_of_two_channels_is_not_the_same() -> None:
    audio = np.full((100_000, 2), 77)
    source = Arrays()
    plan = converting.requantize(source.add(audio, AudioFormat(48_000, 2, 24)), 16)
    assert abs(correlation(*read(source, plan).T)) < 0.02


def test_stretches_that_fit_exactly_are_not_dithered() -> None:
    audio = np.zeros(5 * DITHER_FRAMES, int)
    audio[: DITHER_FRAMES * 4] = 256 * 5
    audio[DITHER_FRAMES + 1] = 1
    found = to_16(audio)
    assert np.all(found[:DITHER_FRAMES] == 5)
    assert set(found[DITHER_FRAMES : 2 * DITHER_FRAMES]) > {4, 5}
    assert np.all(found[2 * DITHER_FRAMES : 4 * DITHER_FRAMES] == 5)
    assert not found[4 * DITHER_FRAMES :].any()


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_any_part_is_as_it_is_in_the_whole(data: st.DataObject) -> None:
    channels = data.draw(st.integers(1, 3))
    frames = data.draw(st.integers(0, 5000))
    audio = np.random.default_rng(3).integers(-(2**23), 2**23, (frames, channels))
    audio[: frames // 2] &= ~0xFF
    source = Arrays(piece=data.draw(st.integers(1, 6000)))
    stream = source.add(audio, AudioFormat(44_100, channels, 24))
    plan = converting.requantize(stream, 16, data.draw(st.integers(0, 2**63 - 1)))
    expected = read(source, plan)
    assert expected.shape == audio.shape
    assert np.abs(expected - audio / 256).max(initial=0) < 1.5
    start = data.draw(st.integers(0, frames))
    stop = data.draw(st.integers(start, frames))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "BLOCK_SAMPLES", data.draw(st.integers(1, 9000)))
        assert np.array_equal(read(source, plan), expected)
        assert np.array_equal(read(source, plan, start, stop), expected[start:stop])
    cut = building.trim(plan, Fraction(start, 44_100), Fraction(0))
    assert np.array_equal(read(source, cut), expected[start:])


@pytest.mark.parametrize("cuts", [[], [1, 1023, 1024, 5000], range(0, 10_000, 333)])
def test_audio_that_comes_in_blocks_is_dithered_as_all_at_once(cuts: list[int]) -> None:
    audio = np.random.default_rng(4).integers(-(2**23), 2**23, 10_001)
    dither = Dither(8, 1, (-(2**15), 2**15 - 1))
    parts = [dither.add(part.astype(np.int32)) for part in np.split(audio, list(cuts))]
    assert np.array_equal(np.concatenate([*parts, dither.finish()]), to_16(audio))

"""Loudness against the test signals of EBU Tech 3341 and 3342, synthesised as they are defined.

Of Tech 3341, cases 1 to 6 and 15 to 23; of Tech 3342, 1 to 4. The others are recordings of
programmes (7 and 8; 5 and 6), or for meters of momentary and short-term loudness (9 to 14).
"""

import math

import numpy as np
import numpy.typing as npt
import pytest
import soxr

from racs_server.audio.kweighting import KWeighting, biquads, impulse_response
from racs_server.audio.loudness import SILENCE, WEIGHTS, Loudness, LoudnessMeter
from racs_server.errors import RequestError
from racs_server.values import AudioFormat

Signal = npt.NDArray[np.float64]
RATE = 48_000


def tones(*parts: tuple[float, float], rate: int = RATE, frequency: float = 1000) -> Signal:
    """Return a sine that takes levels (peak, dBFS), each for a number of seconds."""
    levels = [np.full(round(seconds * rate), 10 ** (level / 20)) for level, seconds in parts]
    envelope = np.concatenate(levels)
    return np.asarray(envelope * np.sin(2 * np.pi * frequency * np.arange(envelope.size) / rate))


def stereo(signal: Signal) -> Signal:
    return np.stack([signal, signal], axis=1)


def measure(
    signal: Signal, rate: int = RATE, depth: int = 24, block: int | None = None
) -> Loudness:
    """Measure a signal of shape (frames, channels), 1 being full scale."""
    scale = 1 << depth - 1
    samples = np.clip(np.rint(signal * scale), -scale, scale - 1).astype(np.int32)
    meter = LoudnessMeter(AudioFormat(rate, signal.shape[1], depth))
    for start in range(0, len(samples), block or len(samples)):
        meter.add(samples[start : start + (block or len(samples))].reshape(-1))
    return meter.finish()


# ------------------------------------------------------------------ EBU Tech 3341, integrated


@pytest.mark.parametrize(
    ("case", "parts", "loudness"),
    [
        (1, [(-23, 20)], -23.0),
        (2, [(-33, 20)], -33.0),
        (3, [(-36, 10), (-23, 60), (-36, 10)], -23.0),
        (4, [(-72, 10), (-36, 10), (-23, 60), (-36, 10), (-72, 10)], -23.0),
        (5, [(-26, 20), (-20, 20.1), (-26, 20)], -23.0),
    ],
)
@pytest.mark.parametrize("rate", [RATE, 44_100])
def test_integrated_loudness(
    case: int, parts: list[tuple[float, float]], loudness: float, rate: int
) -> None:
    found = measure(stereo(tones(*parts, rate=rate)), rate)
    assert found.integrated == pytest.approx(loudness, abs=0.1)


def test_integrated_loudness_of_five_channels() -> None:
    """Case 6."""
    levels = [-28, -28, -24, -30, -30]
    signal = np.stack([tones((level, 20)) for level in levels], axis=1)
    assert measure(signal).integrated == pytest.approx(-23, abs=0.1)
    with_lfe = np.insert(signal, 3, tones((0, 20), frequency=50), axis=1)
    assert measure(with_lfe).integrated == pytest.approx(-23, abs=0.1)


def test_a_full_scale_sine_in_one_channel_is_three_below_full_scale() -> None:
    """BS.1770: 997 Hz at 0 dBFS in one front channel is -3.01 LKFS."""
    full = tones((0, 5), frequency=997)
    assert measure(full[:, None]).integrated == pytest.approx(-3.01, abs=0.02)
    assert measure(np.stack([full, 0 * full], axis=1)).integrated == pytest.approx(-3.01, abs=0.02)


# ----------------------------------------------------------------- EBU Tech 3342, loudness range


@pytest.mark.parametrize(
    ("case", "levels", "range_"),
    [
        (1, [-20, -30], 10),
        (2, [-20, -15], 5),
        (3, [-40, -20], 20),
        (4, [-50, -35, -20, -35, -50], 15),
    ],
)
def test_loudness_range(case: int, levels: list[float], range_: float) -> None:
    found = measure(stereo(tones(*((level, 20) for level in levels))))
    assert found.range == pytest.approx(range_, abs=1)


# --------------------------------------------------------------------- EBU Tech 3341, true peak


@pytest.mark.parametrize(
    ("case", "divisor", "phase", "amplitude", "peak"),
    [
        (15, 4, 0, 0.5, -6),
        (16, 4, 45, 0.5, -6),
        (17, 6, 60, 0.5, -6),
        (18, 8, 67.5, 0.5, -6),
        (19, 4, 45, 1.41, 3),
    ],
)
def test_true_peak_of_sines(
    case: int, divisor: int, phase: float, amplitude: float, peak: float
) -> None:
    angle = 2 * np.pi * np.arange(RATE) / divisor + math.radians(phase)
    found = measure(stereo(amplitude * np.sin(angle))).true_peak
    assert peak - 0.4 <= found <= peak + 0.2


@pytest.mark.parametrize(("case", "offset"), [(20, 0), (21, 1), (22, 2), (23, 3)])
def test_true_peak_between_samples(case: int, offset: int) -> None:
    """A sine of fs/6 and 0.50 with one period of fs/4 and 1.00 in it, its phase going on.

    It is made at 4 fs, filtered, and every fourth sample kept, from an offset on.
    """
    around = 0.5 * np.sin(2 * np.pi * np.arange(24 * 400) / 24)
    period = np.sin(2 * np.pi * np.arange(16) / 16)
    signal = np.concatenate([around, period, around])
    taper = np.sin(np.pi / 2 * np.linspace(0, 1, 1920)) ** 2
    signal[: taper.size] *= taper
    signal[-taper.size :] *= taper[::-1]
    found = measure(stereo(soxr.resample(signal[offset:], 4, 1, "VHQ")))
    assert -0.4 <= found.true_peak <= 0.2


def test_the_true_peak_is_not_below_the_sample_peak() -> None:
    signal = np.random.default_rng(1).uniform(-0.9, 0.9, (RATE, 3))
    found = measure(signal)
    assert found.true_peak > found.sample_peak
    assert found.sample_peak == pytest.approx(20 * math.log10(np.abs(signal).max()), abs=1e-4)


# --------------------------------------------------------------------------------- the filter


def test_the_coefficients_at_48_khz_are_those_of_bs_1770() -> None:
    shelf, high_pass = biquads(48_000)
    assert shelf == pytest.approx(
        (1.53512485958697, -2.69169618940638, 1.19839281085285, -1.69065929318241, 0.73248077421585)
    )
    assert high_pass == pytest.approx((1, -2, 1, -1.99004745483398, 0.99007225036621))


@pytest.mark.parametrize("rate", [4000, 8000, 44_056, 192_000])
def test_the_convolution_is_the_recursion(rate: int) -> None:
    noise = np.random.default_rng(2).uniform(-1, 1, rate // 2)
    expected = noise.tolist()
    for b0, b1, b2, a1, a2 in biquads(rate):
        x1 = x2 = y1 = y2 = 0.0
        for place, x in enumerate(expected):
            y = b0 * x + b1 * x1 + b2 * x2 - a1 * y1 - a2 * y2
            x1, x2, y1, y2 = x, x1, y, y1
            expected[place] = y
    filter_ = KWeighting(rate, 1)
    parts = [
        part
        for start in range(0, noise.size, 777)
        for part in filter_.add(noise[None, start : start + 777])
    ]
    found = np.concatenate([*parts, filter_.finish()], axis=1)[0]
    assert found == pytest.approx(np.array(expected), abs=1e-10)


def test_the_response_has_decayed() -> None:
    for rate in (4000, 44_100, 768_000):
        assert np.abs(impulse_response(rate)[-10:]).max() < 1e-10


# ---------------------------------------------------------------------------- blocks, edges


@pytest.mark.parametrize("rate", [8000, 11_025, 44_056, 96_000])
def test_where_the_blocks_are_cut_does_not_matter(rate: int) -> None:
    noise = np.random.default_rng(3).normal(0, 0.1, (4 * rate, 2))
    whole = measure(noise, rate)
    for block in (1000, 4097, 65_536):
        assert measure(noise, rate, block=block) == pytest.approx(whole, abs=1e-9)


@pytest.mark.parametrize(
    ("rate", "tolerance"),
    [(4000, 0.5), (8000, 0.2), (11_025, 0.15), (22_050, 0.05), (44_056, 0.01), (192_000, 0.05)],
)
def test_every_rate_measures_alike(rate: int, tolerance: float) -> None:
    """Bilinear filters bend towards half of the rate, so that low rates are not quite alike."""
    found = measure(stereo(tones((-20, 3), rate=rate, frequency=500)), rate)
    reference = measure(stereo(tones((-20, 3), frequency=500)))
    assert found.integrated == pytest.approx(reference.integrated, abs=tolerance)


@pytest.mark.parametrize("frames", [0, 1, 7, 48_000])
def test_silence(frames: int) -> None:
    meter = LoudnessMeter(AudioFormat(RATE, 2, 16))
    if frames:
        meter.add(np.zeros(2 * frames, np.int32))
    assert meter.finish() == (SILENCE, 0, SILENCE, SILENCE)


def test_less_than_a_block_has_peaks_alone() -> None:
    found = measure(stereo(tones((-6, 0.399))))
    assert found.integrated == SILENCE
    assert found.true_peak == pytest.approx(-6, abs=0.1)
    assert measure(stereo(tones((-6, 0.4)))).integrated == pytest.approx(-6, abs=0.3)


@pytest.mark.parametrize("channels", sorted(WEIGHTS))
def test_every_channel_counts_as_its_place_says(channels: int) -> None:
    tone = tones((-20, 1), frequency=997)
    front = measure(tone[:, None]).integrated
    for channel, weight in enumerate(WEIGHTS[channels]):
        signal = np.zeros((tone.size, channels))
        signal[:, channel] = tone
        found = measure(signal).integrated
        expected = front + 10 * math.log10(weight) if weight else SILENCE
        assert found == pytest.approx(expected, abs=1e-6)


def test_a_rate_too_low_is_refused() -> None:
    with pytest.raises(RequestError, match="at least 4000 Hz"):
        LoudnessMeter(AudioFormat(3999, 1, 16))

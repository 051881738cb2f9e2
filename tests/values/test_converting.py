"""Plans that convert: what is refused, in which order things are done, what is left as it is."""

from collections.abc import Callable

import pytest

from racs_server.errors import LimitError, RequestError
from racs_server.values import AudioFormat, AudioPlan, StreamRange, building
from racs_server.values.converting import convert, remix, requantize, resample
from racs_server.values.plans import Remixed, Requantized, Resampled, decode_plan, encode_plan

CD = AudioFormat(44_100, 2, 16)
STEREO = StreamRange("duo", 1, 0, 44_101, CD)


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda: resample(STEREO, 0), r"RESAMPLE: a sample rate of 0 Hz, but .* 1 to 768000 Hz"),
        (lambda: resample(STEREO, 768_001), r"RESAMPLE: a sample rate of 768001 Hz"),
        (lambda: resample(STEREO, 440), r"RESAMPLE: from 44100 Hz to 440 .* 441 to 768000 Hz"),
        (
            lambda: resample(StreamRange("a", 1, 0, 1, AudioFormat(8, 1, 16)), 801),
            r"RESAMPLE: from 8 Hz to 801 Hz, but .* at most 100 times .*: ask for 1 to 800 Hz",
        ),
        (lambda: remix(STEREO, 0), r"REMIX: a number of channels of 0, but it goes from 1 to 32"),
        (lambda: remix(STEREO, 33), r"REMIX: a number of channels of 33"),
        (lambda: requantize(STEREO, 20), r"DEPTH: 20 bits, but samples have 16 or 24"),
        (lambda: requantize(STEREO, 24, -1), r"DEPTH: a seed of -1, but it goes from 0 to 9223"),
    ],
)
def test_what_cannot_be_done_is_refused(build: Callable[[], object], says: str) -> None:
    with pytest.raises(RequestError, match=says):
        build()


def test_too_long_or_too_wide_is_refused() -> None:
    long = StreamRange("a", 1, 0, 2**32 // 100 + 1, AudioFormat(1000, 1, 16))
    with pytest.raises(LimitError, match=r"RESAMPLE: 42949\.\d+ s of audio at 100000 Hz"):
        resample(long, 100_000)
    plan: AudioPlan = StreamRange("wide", 1, 0, 10, AudioFormat(1000, 32, 16))
    for rate in (2000, 1000):
        plan = resample(plan, rate)
    with pytest.raises(LimitError, match=r"RESAMPLE: 96 channels are resampled .* at most 64"):
        resample(plan, 2000)
    assert building.split(plan, 0).resampled_channels == 64


def test_lengths_and_formats() -> None:
    assert resample(STEREO, 48_000).frames == 48_002  # 48001.09 rounded up
    assert resample(STEREO, 48_000).format == AudioFormat(48_000, 2, 16)
    assert remix(STEREO, 6).format == AudioFormat(44_100, 6, 16)
    assert requantize(STEREO, 24).format == AudioFormat(44_100, 2, 24)


def test_what_is_so_already_is_left_as_it_is() -> None:
    assert resample(STEREO, 44_100) is STEREO
    assert remix(STEREO, 2) is STEREO
    assert requantize(STEREO, 16) is STEREO
    assert convert(STEREO, CD) is STEREO


def steps(plan: AudioPlan) -> list[str]:
    """Return what is done, the first thing first."""
    below = steps(plan.inputs[0]) if plan.inputs else []
    return [*below, type(plan).__name__]


def test_order() -> None:
    many = StreamRange("many", 1, 0, 1000, AudioFormat(48_000, 6, 24))
    assert steps(convert(many, CD)) == ["StreamRange", "Remixed", "Resampled", "Requantized"]
    wide = AudioFormat(96_000, 6, 24)
    assert steps(convert(STEREO, wide)) == ["StreamRange", "Requantized", "Resampled", "Remixed"]
    assert convert(many, CD).format == CD
    assert convert(STEREO, wide).format == wide


def test_conversions_can_be_sent_as_bytes() -> None:
    for plan in (
        Resampled(STEREO, 48_000),
        Remixed(STEREO, 1),
        Requantized(STEREO, 24, None),
        Requantized(STEREO, 24, 2**63 - 1),
    ):
        assert decode_plan(encode_plan(plan)) == plan

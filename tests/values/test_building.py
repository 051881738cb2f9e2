"""Making plans: what is refused before anything is read, in which words, and what plans know."""

from collections.abc import Callable
from fractions import Fraction

import pytest

from racs_server.errors import LimitError, RequestError
from racs_server.values import AudioFormat, AudioPlan, EncodedPlan, StreamRange, building
from racs_server.values.plans import decode_encoded_plan, decode_plan, encode_plan

STEREO = StreamRange("duo", 1, 100, 44_200, AudioFormat(44_100, 2, 16))
MONO = StreamRange("solo", 2, 0, 10, AudioFormat(44_100, 1, 16))
HIGH = StreamRange("high", 3, 0, 10, AudioFormat(96_000, 1, 24))
ONE = Fraction(1)


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda: building.trim(STEREO, -ONE, ONE), r"TRIM: left is -1 s, but it has to be 0 or m"),
        (lambda: building.pad(STEREO, ONE, -ONE / 8), r"PAD: right is -0\.125 s, but"),
        (lambda: building.fade(STEREO, -ONE, ONE), r"FADE: fade_in is -1 s"),
        (lambda: building.seconds_to_range(ONE, -ONE, 8000), r"RANGE: duration is -1 s"),
        (lambda: building.pan(STEREO, Fraction(9, 8)), r"PAN: a position of 1\.125, but .*-1 to 1"),
        (lambda: building.pan(MONO, ONE), r"PAN: only stereo .* 44100 Hz, 1 channel, 16 bit: make"),
        (
            lambda: building.clip(STEREO, 2, 1),
            r"CLIP: the least value, 2, is above the gr.*, 1: sw",
        ),
        (lambda: building.split(STEREO, 2), r"SPLIT: there is no channel 2.* has channels 0 to 1"),
        (lambda: building.split(MONO, 1), r"SPLIT: there is no channel 1.* has only channel 0"),
        (lambda: building.mix(STEREO, MONO), r"MIX: .* differ in channels \(2 and 1\), and have"),
        (lambda: building.merge(STEREO, MONO), r"MERGE: the first \(left\) .* is 44100 Hz, 2 ch"),
        (lambda: building.merge(MONO, STEREO), r"MERGE: the second \(right\) .*, with SPLIT"),
        (
            lambda: building.merge(MONO, HIGH),
            r"piped audio is 44100 Hz, 1 channel, 16 bit, the other is 96000 Hz, 1 channel, 24 bit:"
            r" they differ in sample rate \(44100 and 96000\), bit depth \(16 and 24\)",
        ),
    ],
)
def test_what_cannot_be_done_is_refused(build: Callable[[], object], says: str) -> None:
    with pytest.raises(RequestError, match=says):
        build()


def test_seconds_are_exact() -> None:
    assert building.seconds_to_range(Fraction("0.1"), Fraction("0.1"), 44_100) == (4410, 8820)
    assert building.seconds_to_range(Fraction("-0.5"), Fraction("1"), 3) == (-1, 2)
    assert building.pad(MONO, Fraction("1e-9"), Fraction(0)).frames == 11


def test_the_longest_plan() -> None:
    frames = building.MAX_FRAMES - 10
    assert building.pad(MONO, Fraction(frames, 44_100), Fraction(0)).frames == building.MAX_FRAMES
    with pytest.raises(LimitError, match=r"PAD: 97391\.\d+ s of audio at 44100 Hz, at most 2\^32"):
        building.pad(MONO, Fraction(frames + 1, 44_100), Fraction(0))
    with pytest.raises(LimitError, match=r"PAD: 1e\+308 s of audio"):
        building.pad(MONO, Fraction(0), Fraction(10) ** 308)


def test_a_long_stream_can_be_cut_to_what_can_be_processed() -> None:
    endless = StreamRange("endless", 1, 0, 2**40, AudioFormat(1000, 1, 16))
    with pytest.raises(LimitError, match="GAIN"):
        building.gain(endless, ONE)
    rest = building.trim(endless, Fraction(2**40 - 500, 1000), Fraction(0))
    assert building.gain(rest, ONE).frames == 500


def test_the_longest_pipeline() -> None:
    plan: AudioPlan = MONO
    for _ in range(building.MAX_NODES - 1):
        plan = building.gain(plan, ONE)
    assert decode_plan(encode_plan(plan)) == plan
    with pytest.raises(LimitError, match="SPLIT: 129 steps of processing in one request, at most"):
        building.split(plan, 0)


def test_trim_keeps_the_frames_that_lie_wholly_inside() -> None:
    stream = StreamRange("a", 1, 0, 10, AudioFormat(10, 1, 16))
    half = Fraction("0.05")
    assert building.trim(stream, half, half).frames == 9
    assert building.trim(stream, Fraction("0.3"), Fraction("0.3")).frames == 4
    assert building.trim(stream, Fraction(2), Fraction(2)).frames == 0
    assert building.trim(stream, Fraction(0), Fraction(10) ** 308).frames == 0


def test_files_can_be_sent_as_bytes() -> None:
    plan = EncodedPlan(building.mix(STEREO, building.gain(STEREO, ONE)), "audio/wav")
    assert decode_encoded_plan(encode_plan(plan)) == plan

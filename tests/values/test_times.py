"""Time is exact: ranges hold every sample frame whose time lies in them, at every rate."""

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from racs_server.values import AudioFormat, StreamInfo, TimeRange, format_instant, seconds_to_frames

RATES = st.integers(1, 768_000)
REF_MS = 1_700_000_000_123
REF = REF_MS * 10**6
OFFSETS = st.integers(-2 * 10**9, 10**10)


def times(rate: int, length: int) -> list[Fraction]:
    """Return the exact times of the first frames, in ns since the epoch."""
    return [REF + Fraction(frame * 10**9, rate) for frame in range(length)]


@given(rate=st.integers(1, 50), start=OFFSETS, stop=OFFSETS)
def test_a_range_holds_the_frames_whose_time_is_in_it(rate: int, start: int, stop: int) -> None:
    length = 40
    first, last = TimeRange(REF + start, REF + stop).frames(REF_MS, rate, length)
    inside = [
        frame for frame, time in enumerate(times(rate, length)) if REF + start <= time < REF + stop
    ]
    assert list(range(first, last)) == inside


@given(rate=RATES, cuts=st.lists(OFFSETS, min_size=2, max_size=8))
def test_adjoining_ranges_tile(rate: int, cuts: list[int]) -> None:
    cuts = sorted(cuts)
    length = 10**7
    pieces = [TimeRange(REF + a, REF + b).frames(REF_MS, rate, length) for a, b in pairwise(cuts)]
    whole = TimeRange(REF + cuts[0], REF + cuts[-1]).frames(REF_MS, rate, length)
    frames = [frame for first, stop in pieces for frame in (first, stop)]
    assert sum(stop - first for first, stop in pieces) == whole[1] - whole[0]
    assert frames == sorted(frames)


@given(rate=RATES, frame=st.integers(0, 10**12))
def test_a_frames_own_time_finds_it_again_up_to_the_nanosecond(rate: int, frame: int) -> None:
    info = StreamInfo("s", 1, AudioFormat(rate, 1, 16), REF_MS, 10**13, False)
    instant = info.instant(frame)
    first, _ = TimeRange(instant, instant + 1).frames(REF_MS, rate, info.frames)
    assert first == frame


@pytest.mark.parametrize(
    ("seconds", "rate", "frames"),
    [("0.1", 44100, 4410), ("0.3", 44100, 13230), ("1e-5", 44100, 1), ("0", 8000, 0), ("7", 1, 7)],
)
def test_seconds_are_the_decimal_that_was_written(seconds: str, rate: int, frames: int) -> None:
    assert seconds_to_frames(Fraction(seconds), rate) == frames


def test_an_instant_is_shown_as_rfc_3339() -> None:
    assert format_instant(REF) == "2023-11-14T22:13:20.123Z"

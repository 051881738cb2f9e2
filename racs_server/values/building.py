"""Makes audio plans: one checked function for each thing that can be done to audio.

Errors name the command; all of them come before any audio is read. Seconds are exact fractions,
and become whole sample frames here: a number of seconds *s* is ``ceil(s * rate)`` of them.
"""

import sys
from fractions import Fraction

from racs_server.errors import LimitError, RequestError
from racs_server.values.formats import AudioFormat
from racs_server.values.plans import (
    AudioPlan,
    Clipped,
    Faded,
    Gained,
    Merged,
    Mixed,
    OneChannel,
    Padded,
    Panned,
    Window,
)
from racs_server.values.times import seconds_to_frames

MAX_FRAMES = 2**32
"""The most sample frames that a plan may have."""

MAX_NODES = 128
"""The most nodes: bounds the memory and the depth of the calls that reading a plan takes."""


MAX_RESAMPLED_CHANNELS = 64
"""The most channels that are resampled at once: each takes 0.2 to 3 MB while it is read."""


def seconds_to_range(start: Fraction, duration: Fraction, rate: int) -> tuple[int, int]:
    """Return which sample frames a stretch of seconds is: the first, and one past the last.

    Holds every frame *i* with ``start <= i / rate < start + duration``; not cut to what there is.

    Raises
    ------
    RequestError
        The duration is negative.
    """
    _not_negative("RANGE", "duration", duration)
    return seconds_to_frames(start, rate), seconds_to_frames(start + duration, rate)


def trim(plan: AudioPlan, left: Fraction, right: Fraction) -> AudioPlan:
    """Remove seconds from both ends: keeps frame *i* of N with ``left <= i/rate < N/rate-right``.

    Raises
    ------
    RequestError
        A number of seconds is negative.
    LimitError
        The plan is too large.
    """
    _not_negative("TRIM", "left", left)
    _not_negative("TRIM", "right", right)
    rate, frames = plan.format.sample_rate, plan.frames
    start = min(seconds_to_frames(left, rate), frames)
    # ceil(frames - right * rate), where right * rate need not be whole
    stop = max(frames + seconds_to_frames(-right, rate), start)
    return checked(Window(plan, start, stop), "TRIM")


def pad(plan: AudioPlan, left: Fraction, right: Fraction) -> AudioPlan:
    """Add seconds of silence before and after.

    Raises
    ------
    RequestError
        A number of seconds is negative.
    LimitError
        The plan is too large.
    """
    _not_negative("PAD", "left", left)
    _not_negative("PAD", "right", right)
    rate = plan.format.sample_rate
    before, after = seconds_to_frames(left, rate), seconds_to_frames(right, rate)
    return checked(Padded(plan, before, after), "PAD")


def gain(plan: AudioPlan, factor: Fraction) -> AudioPlan:
    """Multiply by a factor; `LimitError` if the plan is too large."""
    bounded = max(-_LARGEST_GAIN, min(_finite(factor), _LARGEST_GAIN))
    return checked(Gained(plan, bounded), "GAIN")


def fade(plan: AudioPlan, fade_in: Fraction, fade_out: Fraction) -> AudioPlan:
    """Fade in and out, linearly, over numbers of seconds.

    Raises
    ------
    RequestError
        A number of seconds is negative.
    LimitError
        The plan is too large.
    """
    _not_negative("FADE", "fade_in", fade_in)
    _not_negative("FADE", "fade_out", fade_out)
    rate = plan.format.sample_rate
    rise = min(seconds_to_frames(fade_in, rate), _LONGEST_FADE)
    fall = min(seconds_to_frames(fade_out, rate), _LONGEST_FADE)
    return checked(Faded(plan, rise, fall), "FADE")


def pan(plan: AudioPlan, position: Fraction) -> AudioPlan:
    """Make the left channel softer (position > 0), or the right one.

    Raises
    ------
    RequestError
        The position is not in -1 ... 1, or the audio is not stereo.
    LimitError
        The plan is too large.
    """
    if not -1 <= position <= 1:
        raise RequestError(f"PAN: a position of {_shown(position)}, but it goes from -1 to 1")
    if plan.format.channels != 2:
        raise RequestError(
            f"PAN: only stereo has a left and a right, but the audio is {plan.format}:"
            " make it stereo first, with MERGE"
        )
    return checked(Panned(plan, float(position)), "PAN")


def clip(plan: AudioPlan, least: int, most: int) -> AudioPlan:
    """Hold the samples between two values.

    Raises
    ------
    RequestError
        The first is above the second.
    LimitError
        The plan is too large.
    """
    if least > most:
        raise RequestError(
            f"CLIP: the least value, {least}, is above the greatest, {most}: swap them"
        )
    low, high = sample_bounds(plan.format.bit_depth)
    bounds = (min(max(value, low), high) for value in (least, most))
    return checked(Clipped(plan, *bounds), "CLIP")


def split(plan: AudioPlan, channel: int) -> AudioPlan:
    """Take one channel, counted from 0.

    Raises
    ------
    RequestError
        There is no such channel.
    LimitError
        The plan is too large.
    """
    channels = plan.format.channels
    if not 0 <= channel < channels:
        has = "only channel 0" if channels == 1 else f"channels 0 to {channels - 1}"
        raise RequestError(f"SPLIT: there is no channel {channel}, the audio has {has}")
    return checked(OneChannel(plan, channel), "SPLIT")


def mix(left: AudioPlan, right: AudioPlan) -> AudioPlan:
    """Add two pieces of audio of the same format; the shorter one is followed by silence.

    Raises
    ------
    RequestError
        The formats differ.
    LimitError
        The plan is too large.
    """
    require_same_format("MIX", left.format, right.format)
    return checked(Mixed(left, right), "MIX")


def merge(left: AudioPlan, right: AudioPlan) -> AudioPlan:
    """Make stereo of two mono pieces; the shorter one is followed by silence.

    Raises
    ------
    RequestError
        One is not mono, or rate or depth differ.
    LimitError
        The plan is too large.
    """
    for side, plan in (("first (left)", left), ("second (right)", right)):
        if plan.format.channels != 1:
            raise RequestError(
                f"MERGE: the {side} audio is {plan.format}, but two mono ones make a stereo one:"
                " take one channel of it first, with SPLIT"
            )
    require_same_format("MERGE", left.format, right.format)
    return checked(Merged(left, right), "MERGE")


def require_same_format(
    command: str, first: AudioFormat, second: AudioFormat, other: str = "the other"
) -> None:
    """Raise `RequestError`, which says how they differ, unless two formats are the same."""
    names = {"sample_rate": "sample rate", "channels": "channels", "bit_depth": "bit depth"}
    differ = [
        f"{name} ({getattr(first, key)} and {getattr(second, key)})"
        for key, name in names.items()
        if getattr(first, key) != getattr(second, key)
    ]
    if differ:
        raise RequestError(
            f"{command}: the piped audio is {first}, {other} is {second}: they differ in"
            f" {', '.join(differ)}, and have to be the same"
        )


def checked(plan: AudioPlan, command: str) -> AudioPlan:
    """Return the plan, if it is not too large for the command to give or to take.

    Raises
    ------
    LimitError
        It has more than `MAX_FRAMES` sample frames, `MAX_NODES` nodes or
        `MAX_RESAMPLED_CHANNELS`.
    """
    if plan.nodes > MAX_NODES:
        raise LimitError(
            f"{command}: {plan.nodes} steps of processing in one request, at most {MAX_NODES} are"
            " carried out: STREAM a part of it into a stream of its own, and go on from there"
        )
    if plan.resampled_channels > MAX_RESAMPLED_CHANNELS:
        raise LimitError(
            f"{command}: {plan.resampled_channels} channels are resampled in one request, counted"
            f" once for each time; at most {MAX_RESAMPLED_CHANNELS} are: resample once, at the end"
        )
    if plan.frames > MAX_FRAMES:
        rate = plan.format.sample_rate
        raise LimitError(
            f"{command}: {_shown(Fraction(plan.frames, rate))} s of audio at {rate} Hz, at most"
            f" 2^32 sample frames ({MAX_FRAMES // rate} s) are processed in one request: ask for"
            " it in pieces"
        )
    return plan


def sample_bounds(bit_depth: int) -> tuple[int, int]:
    """Return the least and the greatest value that a sample of a bit depth can have."""
    return -(1 << bit_depth - 1), (1 << bit_depth - 1) - 1


_LARGEST_GAIN = 2.0**40
"""With this factor and with any greater one, every sample but 0 saturates at every bit depth."""

_LONGEST_FADE = 1 << 62
"""Of a fade over so many sample frames, any plan's part is silence, as it is of a longer one."""


def _not_negative(command: str, name: str, seconds: Fraction) -> None:
    if seconds < 0:
        raise RequestError(
            f"{command}: {name} is {_shown(seconds)} s, but it has to be 0 or more seconds"
        )


def _finite(number: Fraction) -> float:
    """Return the float nearest to a number; those beyond all floats saturate."""
    try:
        return float(number)
    except OverflowError:
        return sys.float_info.max if number > 0 else -sys.float_info.max


def _shown(number: Fraction) -> str:
    return f"{_finite(number):.12g}"

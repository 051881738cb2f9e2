"""Times as people write them, and the sample frames that they mean.

Pure: knows no server and no clock; all arithmetic is exact. A range is every sample frame with
``from <= its time < to``, cut to what the stream has, so that adjoining ranges join.

=========================== ===================================================================
written                     meaning
=========================== ===================================================================
2023-12-25T22:30:45.123Z    that instant (RFC 3339); a blank may stand for the T
2023-12-25 22:30            the same in local time; the clock may be left out: midnight
today 14:00, yesterday 9:30 that time of that day, local; without a clock, midnight
10:15, 10:15:30.5           the last time before the stream's end that clocks showed this; as the
                            end of a range, the first time after its begin
now                         now
-30s, -5m, -1h30m           so long before the stream's end: of the audio that there is
12.5, 90s, 1m30s            so long after the stream's begin
+5m                         as the end of a range: so long after its begin
1703543445123               milliseconds since the Unix epoch (eleven digits or more)
A..B, A.., ..B              a range; what is left out is the stream's begin or end
=========================== ===================================================================
"""

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from fractions import Fraction

import msgspec

EXAMPLES = (
    "2023-12-25T22:30:45Z, 'today 14:00', 10:15, -30s (before the end), 12.5 (seconds from the"
    " start)"
)
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}
_UNITS = {"ms": Fraction(1, 1000), **{unit: Fraction(n) for unit, n in _SECONDS.items()}}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|min|m|h|d|w)\s*")
_NUMBER = re.compile(r"\d+(?:\.\d*)?|\.\d+")
_CLOCK = r"(\d{1,2}):(\d{2})(?::(\d{2})(\.\d+)?)?"
_INSTANT = re.compile(
    rf"(?:(\d{{4}}-\d\d-\d\d)|(today|yesterday))(?:[ tT]\s*{_CLOCK}\s*(z|[+-]\d\d:?\d\d)?)?", re.I
)
_ONLY_CLOCK = re.compile(_CLOCK)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)


class WrongTimeError(ValueError):
    """What was written is no time, or no range of the stream; the message has examples."""


class Audio(msgspec.Struct, frozen=True):
    """What times are about: a stream, and when and where it is asked for.

    Attributes
    ----------
    ref
        When the first sample frame came, in ms since the epoch.
    rate, frames
        Sample frames a second, and in all.
    now
        The present, with a time zone.
    zone
        Whose clocks are meant where no zone is written; None: this machine's.
    """

    ref: int
    rate: int
    frames: int
    now: datetime
    zone: tzinfo | None = None

    @property
    def seconds(self) -> Fraction:
        """How long it is."""
        return Fraction(self.frames, self.rate)

    def offset(self, instant: datetime) -> Fraction:
        """Return an instant as seconds after the stream's begin."""
        since_epoch = Fraction((instant - _EPOCH) // timedelta(microseconds=1), 10**6)
        return since_epoch - Fraction(self.ref, 1000)

    def instant(self, offset: Fraction) -> datetime:
        """Return when something so many seconds after the begin is, in the zone that is meant."""
        moment = _EPOCH + timedelta(microseconds=int((Fraction(self.ref, 1000) + offset) * 10**6))
        return moment.astimezone(self.zone)

    def localised(self, moment: datetime) -> datetime:
        """Return a moment without a zone as one in the zone that is meant."""
        return moment.replace(tzinfo=self.zone) if self.zone else moment.astimezone()


def parse_duration(text: str) -> Fraction:
    """Return a length of time in seconds: ``30s``, ``1h30m``, ``500ms``, ``2d``, ``12.5``.

    Raises
    ------
    WrongTimeError
        It is none.
    """
    written = text.strip().lower()
    if _NUMBER.fullmatch(written):
        return Fraction(written)
    parts = list(_PART.finditer(written))
    if not parts or "".join(part[0] for part in parts) != written:
        raise WrongTimeError(f"{text!r} is no length of time; write 30s, 5m, 1h30m, 2d or 12.5")
    return sum((Fraction(part[1]) * _UNITS[part[2]] for part in parts), Fraction(0))


def parse_time(text: str, audio: Audio, after: Fraction | None = None) -> Fraction:
    """Return the time that a text means, in seconds after the stream's begin.

    Parameters
    ----------
    text
        See the module.
    audio
        The stream.
    after
        The begin of the range whose end it is.

    Raises
    ------
    WrongTimeError
        It is no time.
    """
    written = text.strip().replace("−", "-")
    if written.lower() == "now":
        return audio.offset(audio.now)
    if match := _INSTANT.fullmatch(written):
        return _instant(text, match, audio)
    if match := _ONLY_CLOCK.fullmatch(written):
        return _clock(text, match, audio, after)
    if len(written) >= 11 and written.isdecimal():
        return Fraction(int(written) - audio.ref, 1000)
    sign = written[:1] if written[:1] in ("-", "+") else ""
    try:
        length = parse_duration(written.removeprefix(sign))
    except WrongTimeError:
        raise _wrong(text) from None
    if sign == "-":
        return audio.seconds - length
    return length + (after or 0) if sign else length


def _wrong(text: str, why: Exception | None = None, what: str = "time") -> WrongTimeError:
    reason = f" ({why})" if why else ""
    return WrongTimeError(f"{text!r} is no {what}{reason}; write one like {EXAMPLES}")


def _instant(text: str, match: re.Match[str], audio: Audio) -> Fraction:
    day_text, day_name, hour, minute, second, fraction, zone = match.groups()
    try:
        if day_text:
            day = date.fromisoformat(day_text)
        else:
            day = audio.now.astimezone(audio.zone).date()
            day -= _DAY if day_name.lower() == "yesterday" else timedelta()
        moment = datetime.combine(day, time(int(hour or 0), int(minute or 0), int(second or 0)))
        if zone:
            named = zone.upper().replace("Z", "+00:00")
            instant = datetime.fromisoformat(f"{moment.isoformat()}{named}")
        else:
            instant = audio.localised(moment)
        return audio.offset(instant) + Fraction(f"0{fraction or '.0'}")
    except (ValueError, OverflowError) as error:
        raise _wrong(text, error) from None


def _clock(text: str, match: re.Match[str], audio: Audio, after: Fraction | None) -> Fraction:
    """Return when clocks showed a time of day: first after the begin, or last before the end."""
    hour, minute, second, fraction = match.groups()
    anchor = audio.seconds if after is None else after
    try:
        day = audio.instant(anchor).date()
        shown = time(int(hour), int(minute), int(second or 0))
    except (ValueError, OverflowError) as error:
        raise _wrong(text, error, "time of day") from None
    days = (day - _DAY, day, day + _DAY)
    found = [
        audio.offset(audio.localised(datetime.combine(each, shown))) + Fraction(f"0{fraction or 0}")
        for each in days
    ]
    if after is None:
        return max(each for each in found if each <= anchor)
    return min(each for each in found if each > anchor)


def find_range(
    audio: Audio, frm: str | None = None, to: str | None = None, last: str | None = None
) -> tuple[int, int]:
    """Return the sample frames that a range holds, as the first and one past the last.

    Parameters
    ----------
    audio
        The stream.
    frm
        The begin, or all of a range ``A..B``; None: the stream's begin.
    to
        The end; None: the stream's end.
    last
        A length, in the place of both: so much of the end.

    Raises
    ------
    WrongTimeError
        It cannot be read, or holds nothing of the stream.
    """
    if last is not None:
        if frm is not None or to is not None:
            raise WrongTimeError("--last says it all: leave --from and --to out")
        length = last.strip().removeprefix("-")
        parse_duration(length)
        frm = f"-{length}"
    if frm is not None and ".." in frm:
        if to is not None:
            raise WrongTimeError(f"{frm!r} says where it ends: leave --to out")
        frm, _, to = frm.partition("..")
    begin = parse_time(frm, audio) if frm else Fraction(0)
    end = parse_time(to, audio, begin if frm else None) if to else audio.seconds
    if to and end < begin:
        raise WrongTimeError(f"the range ends ({to}) before it begins ({frm})")
    first, stop = (min(max(-(-each * audio.rate // 1), 0), audio.frames) for each in (begin, end))
    if first >= stop and audio.frames:
        spans = " to ".join(
            audio.instant(each).strftime("%Y-%m-%d %H:%M:%S")
            for each in (Fraction(0), audio.seconds)
        )
        raise WrongTimeError(
            f"there is no audio in that range: the stream has {float(audio.seconds):.3f} s, from"
            f" {spans}"
        )
    return int(first), int(stop)

"""What things look like in a terminal: sizes, lengths, times, levels, waveforms, results.

Pure functions; peaks are what PEAKS gives, shape (points, channels, 3): least, greatest and RMS.
"""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len

Peaks = NDArray[np.float32]

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")
_BARS = " ▁▂▃▄▅▆▇█"
_FLOOR = -54.0
"""The level in dBFS that the lowest bar begins at: 6 dB, a factor of two, for each of nine."""
_DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]], np.int32)
"""The bits of a braille character's dots, by row and column (Unicode, Braille Patterns)."""
_BRAILLE = 0x2800
_LONGEST_LIST = 20


def size_text(size: float) -> str:
    """Return a number of bytes as people read it: ``1.2 MB``, in powers of 1000."""
    for unit in _UNITS:
        if size < 999.5 or unit == _UNITS[-1]:
            return f"{size:.0f} {unit}" if size >= 100 or unit == "B" else f"{size:.3g} {unit}"
        size /= 1000
    raise AssertionError


def length_text(seconds: float) -> str:
    """Return a length of time: ``0.500 s``, ``12.3 s``, ``3:05``, ``23:03:05``, ``30 d 1 h``."""
    if seconds < 60:
        return f"{seconds:.3f} s" if seconds < 1 else f"{seconds:.1f} s"
    if seconds >= 86400:
        return f"{int(seconds) // 86400} d {int(seconds) % 86400 // 3600} h"
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"


def time_text(ms: int, now: datetime) -> str:
    """Return an instant, ms since the epoch, in the zone of `now`; its clock alone if today."""
    moment = datetime.fromtimestamp(ms / 1000, UTC).astimezone(now.tzinfo)
    return moment.strftime("%H:%M:%S" if moment.date() == now.date() else "%Y-%m-%d %H:%M:%S")


def iso_text(ms: int) -> str:
    """Return an instant, ms since the epoch, in RFC 3339."""
    text = datetime.fromtimestamp(ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{ms % 1000:03d}Z"


def format_text(rate: int, channels: int, depth: int) -> str:
    """Return an audio format: ``44.1 kHz stereo 16 bit``."""
    names = {1: "mono", 2: "stereo"}
    return f"{rate / 1000:g} kHz {names.get(channels, f'{channels} ch')} {depth} bit"


def plural(count: int, thing: str) -> str:
    """Return a number of things: ``1 stream``, ``10,000 streams``."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def aligned(rows: Sequence[Sequence[str]], right: Sequence[str] = ()) -> list[str]:
    """Return the lines of a table, its columns as wide as they have to be.

    Many times as quick as a table of rich, which measures every word: there may be 10,000 rows.

    Parameters
    ----------
    rows
        The cells; those of the first row name the columns.
    right
        The columns that are set flush right.
    """
    columns = []
    for column in zip(*rows, strict=True):
        sizes = [cell_len(cell) for cell in column]
        widest, flush = max(sizes), column[0] in right
        gaps = [" " * (widest - size) for size in sizes]
        columns.append(
            [gap + cell if flush else cell + gap for cell, gap in zip(column, gaps, strict=True)]
        )
    return ["  ".join(line) for line in zip(*columns, strict=True)]


def decibels(value: float) -> float:
    """Return a level in dBFS, minus infinity for silence."""
    return 20 * math.log10(value) if value > 0 else -math.inf


def level_text(value: float) -> str:
    """Return a level, 1 being full scale: ``-3.0 dBFS``, with a minus sign."""
    level = decibels(value)
    return "silence" if level == -math.inf else f"{level:.1f} dBFS".replace("-", "−")


def bars(peaks: Peaks) -> str:
    """Return a waveform as a line of bars, one a point: the highest peak, 6 dB for each step."""
    if not peaks.size:
        return ""
    levels = np.abs(peaks[:, :, :2]).max(axis=(1, 2))
    with np.errstate(divide="ignore"):
        steps = np.floor((20 * np.log10(levels) - _FLOOR) / 6)
    return "".join(_BARS[int(step)] for step in np.clip(steps, 0, len(_BARS) - 1))


def braille(peaks: Peaks, channel: int, height: int) -> list[str]:
    """Return a channel's waveform as lines of braille characters, two points in each.

    Parameters
    ----------
    peaks
        Shape (points, channels, 3).
    channel
        Which channel to draw.
    height
        Lines.
    """
    least, greatest = peaks[:, channel, 0], peaks[:, channel, 1]
    rows = 4 * height
    top = np.clip(np.rint((1 - greatest) / 2 * (rows - 1)), 0, rows - 1)
    bottom = np.clip(np.rint((1 - least) / 2 * (rows - 1)), 0, rows - 1)
    row = np.arange(rows)[:, None]
    dots = (row >= top) & (row <= bottom)
    if dots.shape[1] % 2:
        dots = np.pad(dots, ((0, 0), (0, 1)))
    cells = dots.reshape(height, 4, -1, 2)
    codes = _BRAILLE + np.einsum("hrwc,rc->hw", cells, _DOTS)
    return ["".join(map(chr, line)) for line in codes]


def describe(value: Any, depth: int | None = None) -> str:
    """Return what a reply is, in words; audio and other arrays are described, not dumped.

    Parameters
    ----------
    value
        What the client gives.
    depth
        The bit depth that an int32 vector's values have; None: not known.
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return f"u8v, {plural(len(value), 'byte')}{_kind(value)}"
    if isinstance(value, np.ndarray):
        return _array(value, depth)
    if isinstance(value, Sequence) and not isinstance(value, str):
        shown = "\n".join(describe(each) for each in value[:_LONGEST_LIST])
        more = len(value) - _LONGEST_LIST
        return f"{shown}\n… and {more:,} more" if more > 0 else shown or "an empty list"
    return str(value)


def _array(value: NDArray[Any], depth: int | None) -> str:
    kind = {"i": "s", "u": "u", "f": "f", "c": "c"}[value.dtype.kind]
    text = f"{kind}{value.itemsize * 8}v, {plural(value.size, 'value')}"
    if not value.size or value.dtype.kind == "c":
        return text
    least, greatest = value.min(), value.max()
    if value.dtype == np.int32:
        # a stream's samples are 16 or 24 bits: which of the two, the values themselves tell
        most = max(-int(least), int(greatest))
        full = 1 << ((depth or (16 if most <= 1 << 15 else 24)) - 1)
        return f"{text}, peak {level_text(most / full)}"
    return f"{text}, from {least:.6g} to {greatest:.6g}"


def _kind(value: bytes) -> str:
    """Return what file bytes are by how they begin, if that is known."""
    names = {
        b"RIFF": "WAV",
        b"fLaC": "FLAC",
        b"OggS": "Ogg",
        b"FORM": "AIFF",
        b"ID3": "MP3",
        b"\xff\xfb": "MP3",
    }
    found = (name for start, name in names.items() if value.startswith(start))
    return "".join(f" ({name})" for name in found)

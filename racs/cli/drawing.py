"""``wave``: a waveform in the terminal, or as a picture."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from racs.cli.base import command
from racs.cli.streams import StreamId, chosen, range_options

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from racs.cli.session import Facts, Session
    from racs.cli.text import Peaks

_WIDTH = 80
"""Columns where there is no terminal."""
_COLOURS = ((255, 255, 255), (210, 214, 222), (120, 162, 219), (38, 84, 148))
"""Of a picture: ground, middle line, the waveform from its least to its greatest, and its RMS."""


@command(
    "wave",
    "racs wave chopin",
    "racs wave mic --last 10m",
    "racs wave mic --from 'today 08:00' --png morning.png --size 2400x400",
)
@click.argument("stream_id", metavar="ID", type=StreamId())
@range_options
@click.option("--height", type=click.IntRange(1, 100), help="Lines for each channel.")
@click.option(
    "--png", type=click.Path(dir_okay=False, path_type=Path), help="Draw it into this file."
)
@click.option("--size", default="1200x300", show_default=True, help="Of the picture, in pixels.")
def wave_command(
    session: "Session",
    stream_id: str,
    frm: str | None,
    to: str | None,
    last: str | None,
    height: int | None,
    png: Path | None,
    size: str,
) -> None:
    """Draw a stream's waveform.

    Each channel from full scale to full scale, with the level of its highest peak. --json gives the
    least, the greatest and the RMS value of each point.
    """
    facts = session.facts(stream_id)
    first, stop = chosen(facts, frm, to, last)
    if png is not None:
        width, lines = _size(size)
        png.write_bytes(picture(_peaks(session, facts, first, stop, width), lines))
        session.show({"id": facts.id, "file": str(png)}, f"{png}  {width} x {lines}")
        return
    width = session.out.width if session.out.is_terminal else _WIDTH
    peaks = _peaks(session, facts, first, stop, 2 * width)
    if session.json:
        session.show(peaks.tolist(), "")
        return
    _print(session, facts, peaks, (first, stop), height or max(8 // facts.channels, 2))


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise click.UsageError(f"--size is like 1200x300, not {text!r}")
    if not (1 <= int(width) <= 65_536 and 1 <= int(height) <= 16_384):
        raise click.UsageError(f"--size is from 1x1 to 65536x16384, not {text!r}")
    return int(width), int(height)


def _peaks(session: "Session", facts: "Facts", first: int, stop: int, points: int) -> "Peaks":
    """Return a waveform; fewer points if there are fewer sample frames, as PEAKS gives them."""
    from racs.cli.session import range_text

    text = f"{range_text(facts, first, stop)} |> PEAKS {points}"
    peaks: Peaks = session.client.execute_command(text).reshape(-1, facts.channels, 3)
    return peaks


def _print(
    session: "Session", facts: "Facts", peaks: "Peaks", place: tuple[int, int], height: int
) -> None:
    from datetime import datetime

    import numpy as np

    from racs.cli.text import braille, level_text, time_text

    if not peaks.size:
        session.note("no audio yet")
        return
    for channel in range(facts.channels):
        for line in braille(peaks, channel, height):
            session.say(line, "cyan")
    now = datetime.now().astimezone()
    begin, end = (time_text(facts.ref + each * 1000 // facts.sample_rate, now) for each in place)
    level = level_text(float(np.abs(peaks[:, :, :2]).max()))
    width = (len(peaks) + 1) // 2
    middle = f"peak {level}".center(max(width - len(begin) - len(end), 0))
    session.say(f"{begin}{middle}{end}", "dim")


def picture(peaks: "Peaks", height: int) -> bytes:
    """Return a waveform as a PNG file: channel below channel, a pixel for each point.

    Parameters
    ----------
    peaks
        Shape (points, channels, 3).
    height
        Pixels, for all channels together.
    """
    import numpy as np

    from racs.cli.png import encode_png

    channels = peaks.shape[1]
    edges = np.linspace(0, height, channels + 1).astype(int)
    bands = [
        _band(peaks[:, channel], int(edges[channel + 1] - edges[channel]))
        for channel in range(channels)
    ]
    return encode_png(np.concatenate(bands), _COLOURS)


def _band(points: "Peaks", height: int) -> "NDArray[np.uint8]":
    """Return a channel's pixels; shape (height, points)."""
    import numpy as np

    row = np.arange(height)[:, None]
    least, greatest, rms = (np.rint((1 - points[:, kind]) / 2 * (height - 1)) for kind in range(3))
    below = (height - 1) - rms
    band = np.zeros((height, len(points)), np.uint8)
    band[height // 2] = 1
    band[(row >= greatest) & (row <= least)] = 2
    band[(row >= np.maximum(rms, greatest)) & (row <= np.minimum(below, least))] = 3
    return band

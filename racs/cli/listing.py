"""``ls`` and ``info``: what there is."""

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

import click

from racs.cli.base import command
from racs.cli.streams import StreamId

if TYPE_CHECKING:
    from racs.cli.session import Facts, Session
    from racs.cli.text import Peaks

_MOST_PICTURES = 50
"""How many streams `ls` draws; drawing costs the server a little each."""
_POINTS = 12
_HEADER = ("id", "rate", "ch", "bit", "length", "size", "first", "last")
_NARROWER = (
    ("id", "rate", "ch", "bit", "length", "last"),
    ("id", "length", "last"),
    ("id", "length"),
)
"""Columns that are left where not all have room beside each other."""


@command(
    "ls",
    "racs ls",
    "racs ls 'birds/2025-*'",
    "racs ls --json | jq -r '.[].id'",
)
@click.argument("patterns", metavar="[PATTERN]...", nargs=-1, type=StreamId())
def ls_command(session: "Session", patterns: tuple[str, ...]) -> None:
    """List streams.

    PATTERN: * stands for any text, ? for one character, [a-z] for one of a set. Put it in quotes,
    or the shell puts the names of files in its place.
    """
    from racs.cli.text import aligned, bars, plural, size_text

    streams = [each for pattern in patterns or ("*",) for each in session.streams(pattern)]
    found = list({each.id: each for each in streams}.values())
    if session.json:
        session.show([_data(each) for each in found], "")
        return
    if not found:
        told = " or ".join(map(repr, patterns[:3]))
        quotes = " (a pattern needs quotes)" if len(patterns) > 1 else ""
        session.note(f"no stream's id matches {told}{quotes}" if told else "no streams yet")
        return
    from rich.text import Text

    now = datetime.now().astimezone()
    rows = [_HEADER, *(_row(each, now) for each in found)]
    width = session.out.width - len("  open")
    header, *lines = aligned(rows, _HEADER[1:6])
    for columns in _NARROWER:
        if len(header) <= width:
            break
        places = [_HEADER.index(name) for name in columns]
        header, *lines = aligned([[row[at] for at in places] for row in rows], _HEADER[1:6])
    room = min(session.out.width - len(header) - len("  open  "), _POINTS)
    drawn = session.out.is_terminal and len(found) <= _MOST_PICTURES and room > 0
    pictures = draw(session, found, room) if drawn else {}
    body = [
        Text(f"{line}  ")
        .append("open" if each.is_open else "    ", "green")
        .append(f"  {bars(pictures[each.id])}" if each.id in pictures else "", "cyan")
        for line, each in zip(lines, found, strict=True)
    ]
    for line in body:
        line.rstrip()
    session.say(f"{header}  open", "bold")
    session.say(Text("\n").join(body))
    total = size_text(sum(each.size for each in found))
    session.note(f"{plural(len(found), 'stream')}, {total}")


def _row(facts: "Facts", now: datetime) -> list[str]:
    from racs.cli.text import length_text, size_text, time_text

    return [
        facts.id,
        f"{facts.sample_rate:,}",
        str(facts.channels),
        str(facts.bit_depth),
        length_text(facts.seconds),
        size_text(facts.size),
        time_text(facts.ref, now) if facts.size else "–",
        time_text(facts.end, now) if facts.size else "–",
    ]


def draw(session: "Session", streams: "Iterable[Facts]", points: int) -> "dict[str, Peaks]":
    """Return the waveforms of the streams that have audio, by id."""
    import numpy as np

    from racs.cli.session import range_text

    drawn = [each for each in streams if each.size]
    texts = [f"{range_text(each, 0, each.frames)} |> PEAKS {points}" for each in drawn]
    answers = session.client.execute_commands(texts)
    return {
        each.id: answer.reshape(-1, each.channels, 3)
        for each, answer in zip(drawn, answers, strict=True)
        if isinstance(answer, np.ndarray)
    }


@command("info", "racs info chopin", "racs info chopin --json | jq .seconds")
@click.argument("stream_id", metavar="ID", type=StreamId())
def info_command(session: "Session", stream_id: str) -> None:
    """Tell all about a stream."""
    from rich.table import Table

    from racs.cli.text import bars, format_text, iso_text, length_text, plural, size_text

    facts = session.facts(stream_id)
    files = session.client.attachments(stream_id)
    if session.json:
        session.show({**_data(facts), "attachments": files}, "")
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_row("id", _plain(facts.id))
    table.add_row("format", format_text(facts.sample_rate, facts.channels, facts.bit_depth))
    frames = plural(facts.frames, "sample frame")
    table.add_row("length", f"{length_text(facts.seconds)}  ({frames})")
    table.add_row("size", f"{size_text(facts.size)}  ({plural(facts.size, 'byte')} of PCM)")
    if facts.size:
        table.add_row("from", iso_text(facts.ref))
        table.add_row("to", iso_text(facts.end))
    table.add_row("state", "[green]open: it is being recorded[/]" if facts.is_open else "closed")
    table.add_row("kept", "for ever" if facts.ttl < 0 else f"{length_text(facts.ttl)} more")
    if files:
        table.add_row("files", _plain("\n".join(files)))
    if session.out.is_terminal and facts.size:
        width = max(min(session.out.width - 12, 100), 10)
        for picture in draw(session, [facts], width).values():
            table.add_row("", f"[cyan]{bars(picture)}[/]")
    session.out.print(table, highlight=False)


def _plain(text: str) -> str:
    """Return text in which nothing is markup."""
    from rich.markup import escape

    return escape(text)


def _data(facts: "Facts") -> dict[str, object]:
    """Return what `--json` prints of a stream: times in RFC 3339, None while it is empty."""
    from racs.cli.text import iso_text

    return {
        "id": facts.id,
        "sample_rate": facts.sample_rate,
        "channels": facts.channels,
        "bit_depth": facts.bit_depth,
        "frames": facts.frames,
        "seconds": facts.seconds,
        "size": facts.size,
        "first": iso_text(facts.ref) if facts.size else None,
        "last": iso_text(facts.end) if facts.size else None,
        "open": bool(facts.is_open),
        "ttl": None if facts.ttl < 0 else facts.ttl,
    }

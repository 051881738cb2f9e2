"""``rm`` and ``expire``: the end of streams."""

import math
from typing import TYPE_CHECKING

import click

from racs.cli.base import Failure, command
from racs.cli.streams import StreamId

if TYPE_CHECKING:
    from racs.cli.session import Session


@command(
    "rm",
    "racs rm chopin",
    "racs rm 'test-*' --yes",
)
@click.argument("patterns", metavar="ID...", nargs=-1, required=True, type=StreamId())
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
def rm_command(session: "Session", patterns: tuple[str, ...], yes: bool) -> None:
    """Delete streams, for good.

    ID may be a pattern: * stands for any text. You are asked first; a script says --yes.
    """
    import sys

    from racs.cli.text import plural, size_text
    from racs.commands import command as text_of
    from racs.errors import RacsServerError

    streams = session.matching(patterns)
    total = size_text(sum(each.size for each in streams))
    what = repr(streams[0].id) if len(streams) == 1 else plural(len(streams), "stream")
    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError(f"this would delete {what} ({total}) for good: add --yes")
        if not click.confirm(f"Delete {what} ({total}) for good?", err=True):
            raise Failure("nothing was deleted")
    answers = session.client.execute_commands(text_of("DELETE", each.id) for each in streams)
    refused = [answer for answer in answers if isinstance(answer, RacsServerError)]
    gone = [each.id for each, answer in zip(streams, answers, strict=True) if answer is None]
    if gone or session.json:
        session.show({"deleted": gone}, f"deleted {plural(len(gone), 'stream')}")
    if refused:
        raise Failure("; ".join(map(str, refused[:3])))


@command(
    "expire",
    "racs expire mic 30d",
    "racs expire 'calls/*' 1w",
    "racs expire chopin never",
)
@click.argument("patterns", metavar="ID...", nargs=-1, required=True, type=StreamId())
@click.argument("length", metavar="LENGTH")
def expire_command(session: "Session", patterns: tuple[str, ...], length: str) -> None:
    """Let streams be deleted some time after their last audio.

    LENGTH is 90s, 12h, 30d, 1w …, or never. Each stream is deleted that long after its last audio
    came, but never while it is open; one whose last audio is older than that goes at once.
    """
    from racs.cli.text import plural
    from racs.commands import command as text_of
    from racs.errors import RacsServerError

    seconds = lifetime(length)
    streams = session.matching(patterns)
    texts = [text_of("EXPIRE", each.id, seconds) for each in streams]
    answers = session.client.execute_commands(texts)
    refused = [answer for answer in answers if isinstance(answer, RacsServerError)]
    done = [each.id for each, answer in zip(streams, answers, strict=True) if answer is None]
    fate = "kept for ever" if seconds < 0 else f"to be deleted {length} after the last audio"
    if done or session.json:
        text = f"{plural(len(done), 'stream')} {fate}"
        session.show({"expire": None if seconds < 0 else seconds, "streams": done}, text)
    if refused:
        raise Failure("; ".join(map(str, refused[:3])))


def lifetime(text: str) -> int:
    """Return a time to live in seconds, -1 for ever; a usage error says what is wrong."""
    from racs.cli.times import WrongTimeError, parse_duration

    if text.strip().lower() in ("never", "-1"):
        return -1
    try:
        return math.ceil(parse_duration(text))
    except WrongTimeError as error:
        raise click.UsageError(f"{error}; or never") from None

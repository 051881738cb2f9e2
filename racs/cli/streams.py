"""Arguments that are streams, ranges of streams and lengths of time; and completion of ids."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from racs.cli.base import DEFAULT_URL

if TYPE_CHECKING:
    from racs.cli.session import Facts

_PATIENCE = 0.5
"""Seconds that the completion of ids waits for the server."""
F = TypeVar("F", bound=Callable[..., Any])


class StreamId(click.types.StringParamType):
    """A stream's id, which the shell completes."""

    name = "id"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return the ids that begin so; none, without a word, if the server does not say."""
        from racs.client import Racs
        from racs.errors import RacsException

        url = ctx.find_root().params.get("url") or os.environ.get("RACS_URL") or DEFAULT_URL
        try:
            with Racs(url, connect_timeout=_PATIENCE, timeout=_PATIENCE) as racs:
                ids = racs.pipeline().list("*").execute()
        except RacsException:
            return []
        return [CompletionItem(each) for each in ids if each.startswith(incomplete)]


def range_options(function: F) -> F:
    """Give a command --from, --to and --last."""
    for option in (
        click.option("--last", metavar="LENGTH", help="Only the last so much: 30s, 5m, 1h30m."),
        click.option("--to", metavar="TIME", help="The end; +5m is so long after the begin."),
        click.option(
            "--from",
            "frm",
            metavar="TIME",
            help="The begin: 2023-12-25T22:30:45Z, 'today 14:00', 10:15, -30s (before the end of"
            " the audio), 12.5 (seconds from its start); or all of a range: 10:15..10:20.",
        ),
    ):
        function = option(function)
    return function


def chosen(
    facts: "Facts", frm: str | None, to: str | None, last: str | None = None
) -> tuple[int, int]:
    """Return the sample frames of a range that was asked for; a usage error says what is wrong."""
    from datetime import datetime

    from racs.cli.times import Audio, WrongTimeError, find_range

    audio = Audio(facts.ref, facts.sample_rate, facts.frames, datetime.now().astimezone())
    try:
        return find_range(audio, frm, to, last)
    except WrongTimeError as error:
        raise click.UsageError(str(error)) from None

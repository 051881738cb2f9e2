"""``play``: to a player that is found on this machine, or to standard output."""

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import click

from racs.cli.base import Failure, command
from racs.cli.streams import StreamId, chosen, range_options

if TYPE_CHECKING:
    from racs.cli.session import Facts, Session


def _raw_flags(facts: "Facts") -> list[str]:
    kind = f"--format=s{facts.bit_depth}le"
    return ["--raw", f"--rate={facts.sample_rate}", f"--channels={facts.channels}", kind]


PLAYERS: "dict[str, Callable[[Facts], list[str]]]" = {
    "mpv": lambda facts: ["--no-terminal", "--no-video", "-"],
    "ffplay": lambda facts: ["-nodisp", "-autoexit", "-loglevel", "error", "-i", "-"],
    "play": lambda facts: ["-q", "-t", "wav", "-"],
    "aplay": lambda facts: ["-q", "-"],
    "paplay": _raw_flags,
}
"""Players, best first, and the arguments with which each plays its standard input."""
_TAKE_RAW = ("paplay",)


@command(
    "play",
    "racs play chopin",
    "racs play mic --last 30s",
    "racs play mic --from 'yesterday 09:30' --to +1m --player mpv",
    "racs play chopin | sox -t wav - -n spectrogram",
)
@click.argument("stream_id", metavar="ID", type=StreamId())
@range_options
@click.option("--player", type=click.Choice(list(PLAYERS)), help="Which, if not the first found.")
@click.option("--raw", is_flag=True, help="When piped: bare PCM, little-endian, without a header.")
def play_command(
    session: "Session",
    stream_id: str,
    frm: str | None,
    to: str | None,
    last: str | None,
    player: str | None,
    raw: bool,
) -> None:
    """Play a stream, or pipe it on.

    On a terminal, and with --json, a player is looked for: mpv, ffplay, play (sox), aplay or
    paplay. When the output is piped, it is a WAV file. To hear a stream while it is recorded: racs
    follow.
    """
    from racs.cli.reading import iter_pcm
    from racs.cli.wav import wav_header

    facts = session.facts(stream_id)
    first, stop = chosen(facts, frm, to, last)
    size = (stop - first) * facts.frame_bytes
    header = wav_header(facts.sample_rate, facts.channels, facts.bit_depth, size)
    pcm = iter_pcm(session.client, facts, first, stop)
    if player is None and not (sys.stdout.isatty() or session.json):
        sys.stdout.buffer.write(b"" if raw else header)
        for block in pcm:
            sys.stdout.buffer.write(block)
        return
    name = player or find_player()
    _play([name, *PLAYERS[name](facts)], b"" if name in _TAKE_RAW else header, pcm)
    if session.json:
        seconds = (stop - first) / facts.sample_rate
        session.show({"id": facts.id, "player": name, "seconds": seconds}, "")


def find_player() -> str:
    """Return the first player that there is.

    Raises
    ------
    Failure
        There is none.
    """
    found = next(filter(shutil.which, PLAYERS), None)
    if found is None:
        raise Failure(
            f"no player was found: install one of {', '.join(PLAYERS)} (ffplay comes with ffmpeg,"
            " play with sox, aplay with alsa-utils), or pipe it on: racs play ID | …"
        )
    return found


def _play(arguments: list[str], header: bytes, pcm: Iterator[memoryview]) -> None:
    """Feed a player; one that is closed, and Ctrl-C, is the end."""
    try:
        process = subprocess.Popen(arguments, stdin=subprocess.PIPE)  # noqa: S603 (from the table)
    except FileNotFoundError:
        raise Failure(f"{arguments[0]} is not installed") from None
    assert process.stdin is not None
    try:
        process.stdin.write(header)
        for block in pcm:
            process.stdin.write(block)
        process.stdin.close()
        code = process.wait()
    except BrokenPipeError:
        code = process.wait()
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
        return
    finally:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
    if code:
        raise Failure(f"{arguments[0]} could not play it (its exit code is {code})")

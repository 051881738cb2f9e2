"""``doctor``: looks at the server from here, and says what to do."""

import os
import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import msgspec

from racs.cli.base import REFUSED, UNREACHABLE, Failure, command, explain

if TYPE_CHECKING:
    from racs.cli.session import Session

GOOD, HINT, BAD = "good", "hint", "bad"
_MARKS = {GOOD: ("✓", "green"), HINT: ("!", "yellow"), BAD: ("✗", "red")}
_INDENT = 11
_PINGS = 20
_SLOW = 0.05
"""Seconds for a round trip from which on it is said."""
_CLOCK_OFF = 1.0
"""Seconds that clocks may differ before it is said."""


class Finding(msgspec.Struct):
    """What one look found.

    Attributes
    ----------
    name
        What was looked at.
    state
        `GOOD`, `HINT` or `BAD`.
    text
        What was found.
    advice
        What to do.
    """

    name: str
    state: str
    text: str
    advice: str = ""


@command("doctor", "racs doctor", "racs --url racss://studio:6381 doctor", "racs doctor --json")
def doctor_command(session: "Session") -> None:
    """Look whether all is well, and say what to do.

    The way to the server, versions, its disk and its health, both clocks; and whether a second of
    audio comes back as it went in (a stream of its own, which is removed). The exit code is 1 if
    something is wrong, 3 if there is no server.
    """
    findings = []
    for finding in _findings(session):
        findings.append(finding)
        if not session.json:
            _tell(session, finding)
    if session.json:
        session.show([msgspec.structs.asdict(each) for each in findings], "")
    bad = [each.name for each in findings if each.state == BAD]
    if bad:
        raise Failure("not all is well", UNREACHABLE if "server" in bad else REFUSED)


def _findings(session: "Session") -> Iterator[Finding]:
    """Look at everything; a server that does not answer, or not as it should, is a finding too."""
    from racs.errors import RacsConnectionError, RacsException

    try:
        for look in LOOKS:
            yield from look(session)
    except RacsException as error:
        failure = explain(error)
        assert failure is not None
        if isinstance(error, RacsConnectionError):
            text, _, advice = failure.message.partition(": is ")
            yield Finding("server", BAD, text, advice and f"is {advice}")
        else:
            text, _, advice = failure.message.partition(". Say ")
            other = "if that is strange, the server is another version, or another program"
            yield Finding("answers", BAD, text, f"say {advice}" if advice else other)
    yield from look_at_this_machine(session)


def _tell(session: "Session", finding: Finding) -> None:
    """Print a finding; what is longer than a line goes on below its begin."""
    from rich.text import Text

    mark, colour = _MARKS[finding.state]
    told = Text(finding.text)
    if finding.advice:
        told.append(f"\n{finding.advice}", "yellow")
    head = Text(f"{mark} ", colour).append(f"{finding.name:<{_INDENT - 2}}", "bold")
    for line in told.wrap(session.out, max(session.out.width - _INDENT, 20)):
        session.say(head.append(line))
        head = Text(" " * _INDENT)


def look_at_the_way(session: "Session") -> Iterator[Finding]:
    """Ask for signs of life, and how long they take."""
    times = []
    for _ in range(_PINGS):
        began = time.perf_counter()
        session.do("PING")
        times.append(time.perf_counter() - began)
    median = statistics.median(times)
    where = session.url.rpartition("@")[2].partition("://")
    text = f"{where[2] or where[0]} answers in {median * 1000:.2f} ms"
    far = "a slow network, or a busy server: racs top tells" if median > _SLOW else ""
    yield Finding("server", HINT if far else GOOD, text, far)
    secure = session.url.startswith("racss://")
    logged_in = "@" in session.url
    way = "TLS" if secure else "without TLS"
    who = "with a login" if logged_in else "without a login"
    local = any(name in session.url for name in ("//localhost", "//127.", "//[::1]", "@localhost"))
    open_ = not (secure or local)
    advice = (
        "whoever is on the way can read and change all: racs-server --tls-cert" if open_ else ""
    )
    yield Finding("access", HINT if open_ else GOOD, f"{way}, {who}", advice)


def look_at_the_server(session: "Session") -> Iterator[Finding]:
    """Read what the server tells of itself."""
    from racs.cli.text import length_text, plural, size_text

    values = session.do("STATS")
    figures: dict[str, Any] = dict(zip(values[::2], values[1::2], strict=True))
    mine, theirs = version("racs-store"), figures["version"]
    same = mine == theirs
    yield Finding(
        "version",
        GOOD if same else HINT,
        f"{theirs}, up {length_text(figures['uptime_seconds'])}; this program {mine}",
        "" if same else "they work together, but better when they are the same",
    )
    free, size = figures["disk_free_bytes"], figures["disk_size_bytes"]
    state = BAD if free < 1 << 30 else HINT if free < size / 10 else GOOD
    advice = "make room: racs ls --json, racs rm, racs expire" if state != GOOD else ""
    yield Finding("disk", state, f"{size_text(free)} of {size_text(size)} free", advice)
    counts = {"connections": "client", "open_streams": "open stream", "errors": "error"}
    load = ", ".join(plural(figures[name], thing) for name, thing in counts.items())
    yield Finding("load", GOOD, load)
    if figures["log_failed"]:
        yield Finding(
            "log", BAD, "the commit log has failed: nothing is taken", "restart it; see its log"
        )
    if figures["lost_frames"]:
        yield Finding(
            "recovery",
            HINT,
            f"{figures['lost_frames']:,} sample frames were not on the disk after the last crash",
            "--durability always keeps what a power cut would take",
        )
    if figures["longest_stall_seconds"] > 1:
        text = f"it once did nothing else for {figures['longest_stall_seconds']:.1f} s"
        yield Finding("stalls", HINT, text, "a slow disk, or a busy machine")


def look_at_audio(session: "Session") -> Iterator[Finding]:
    """Send a second of audio and get it back; the stream's clock is the server's."""
    import numpy as np

    from racs.errors import RacsServerError

    name = f"racs-doctor-{os.urandom(4).hex()}"
    audio = np.random.default_rng(0).integers(-(2**15), 2**15, 48_000).astype(np.int16)
    try:
        session.do("CREATE", name, 48_000, 1, 16)
    except RacsServerError as error:
        yield Finding("audio", HINT, f"not tried: {error}", "log in as somebody who may write")
        return
    try:
        before = time.time()
        session.client.stream(name).execute(audio)
        after = time.time()
        back = session.do("RANGE", name, 0, 1)
        ref = session.do("INFO", name, "ref") / 1000
    finally:
        session.do("DELETE", name)
    same = np.array_equal(back, audio)
    took = f"a second of it was stored in {(after - before) * 1000:.0f} ms"
    text = f"{took}, and came back {'the same' if same else 'DIFFERENT'}"
    yield Finding("audio", GOOD if same else BAD, text, "" if same else "report this: it is a bug")
    # its first sample came between the two looks at this machine's clock
    off = max(before - ref, ref - after, 0.0)
    advice = (
        "set the clocks (NTP): times in the archive are the server's" if off > _CLOCK_OFF else ""
    )
    yield Finding("clock", HINT if advice else GOOD, f"the server's differs by {off:.3f} s", advice)


def look_at_this_machine(session: "Session") -> Iterator[Finding]:
    """Look for what some commands need here."""
    from racs.cli.playing import PLAYERS

    player = next(filter(shutil.which, PLAYERS), None)
    advice = f"racs play needs one of {', '.join(PLAYERS)}"
    yield Finding("player", GOOD if player else HINT, player or "none", "" if player else advice)
    if not find_spec("prompt_toolkit"):
        yield Finding(
            "shell", HINT, "without colours", "pip install 'racs-store[shell]' for more comfort"
        )


LOOKS: tuple[Callable[["Session"], Iterator[Finding]], ...] = (
    look_at_the_way,
    look_at_the_server,
    look_at_audio,
)
"""What is looked at of the server, in this order."""

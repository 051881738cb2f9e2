"""The server's settings: one table with every setting, its default, its bounds and its reason.

A setting is looked for in this order: the command line (``--lease 60``), the environment
(``RACS_LEASE=60``), the TOML file (``lease = 60``), the default. The table feeds the command line's
help, the checks and the README's reference.
"""

import dataclasses
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs

from racs_server.errors import StartError

ENVIRONMENT_PREFIX = "RACS_"
LOG_LEVELS = ("debug", "info", "warning", "error")
LOG_FORMATS = ("text", "json")
DURABILITIES = ("os", "interval", "always")
LEAST_RATE = 8 << 10
"""Bytes a second at which a file over HTTP has to come: the worst mobile connection has more."""
_DATA_DIR = platformdirs.user_data_path("racs", appauthor=False)


def _setting(
    default: Any,
    doc: str,
    *,
    least: float | None = None,
    most: float | None = None,
    choices: tuple[str, ...] = (),
    unit: str = "",
) -> Any:
    metadata = {"doc": doc, "least": least, "most": most, "choices": choices, "unit": unit}
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings, checked. Sizes are in bytes, times in seconds."""

    host: str = _setting("127.0.0.1", "Address to listen on.")
    port: int = _setting(6381, "TCP port to listen on; 0 takes a free one.", least=0, most=65535)
    data_dir: Path = _setting(
        _DATA_DIR,
        "Folder of the archive; made if it is not there.",
    )
    durability: str = _setting(
        "interval",
        "What an acknowledgement promises: 'os': kept if the server is killed; 'interval': also"
        " kept if the power fails, but for the last fraction of a second; 'always': kept whatever"
        " fails.",
        choices=DURABILITIES,
    )
    insecure: bool = _setting(
        False,
        "Listen on any address without TLS, or without users: whoever reaches it can read, forge"
        " and delete everything.",
    )
    tls_cert: str = _setting(
        "",
        "PEM file with the server's certificate, and those that vouch for it: with it, and with its"
        " key, all connections use TLS (1.2 or newer).",
    )
    tls_key: str = _setting("", "PEM file with the certificate's private key, without a password.")
    users_file: Path = _setting(
        Path("users.json"),
        "File of the users and their tokens, in the data folder if it is no absolute path; read"
        " again when it has changed.",
    )
    login_time: float = _setting(
        30.0,
        "Seconds in which a client must have finished its TLS handshake and, as soon as there are"
        " users, have said who it is.",
        least=0.1,
        most=3600,
        unit="s",
    )
    disable: str = _setting(
        "",
        "Commands that this server is not to have, joined by commas, such as"
        " DELETE,EXPIRE,SHUTDOWN.",
    )
    http_port: int = _setting(
        -1,
        "TCP port to serve HTTP on (needs the extra [http]); 0 takes a free one, -1 none.",
        least=-1,
        most=65535,
    )
    http_hosts: str = _setting(
        "",
        "Names by which HTTP is reached, joined by commas, besides localhost, addresses and --host:"
        " a request for any other is refused, since a stranger's page can send one.",
    )
    http_origins: str = _setting(
        "",
        "Origins whose web pages may use HTTP, joined by commas, such as https://lab.example; other"
        " sites' pages are refused.",
    )
    http_kept: int = _setting(
        1 << 30,
        "Encoded files that are kept for whoever comes for another part of them, as players do that"
        " seek: for 10 minutes, in the data folder.",
        least=0,
        most=1 << 40,
        unit="bytes",
    )
    hub_port: int = _setting(
        -1,
        "TCP port to serve the hub of runes and its page on (needs the extra [hub]); 0 takes a free"
        " one, -1 none. What http_hosts and http_origins say holds for it as well.",
        least=-1,
        most=65535,
    )
    hub_max_file: int = _setting(
        100 << 20,
        "Largest file that a page gives to a rune, or a rune gives out.",
        least=1024,
        most=4 << 30,
        unit="bytes",
    )
    hub_keep: float = _setting(
        7 * 86400.0,
        "Seconds for which the hub keeps the files of runs as they came; what is in them stays in"
        " the archive.",
        least=60,
        most=1e9,
        unit="s",
    )
    log_level: str = _setting("info", "How much is logged, to standard error.", choices=LOG_LEVELS)
    log_format: str = _setting(
        "text",
        "How the log is written: lines for people, or a JSON object a line. At level 'debug' there"
        " is an event for each request.",
        choices=LOG_FORMATS,
    )
    metrics_port: int = _setting(
        0,
        "TCP port for Prometheus to read metrics from, at /metrics; 0: none.",
        least=0,
        most=65535,
    )
    metrics_host: str = _setting(
        "127.0.0.1",
        "Address of that port. What holds for --host holds for it: beyond this machine TLS and"
        " users, whose tokens are shown as 'Authorization: Bearer'.",
    )
    sync_interval: float = _setting(
        0.2,
        "Seconds between two group commits with durability 'interval': what a power cut can cost.",
        least=0.001,
        most=60,
        unit="s",
    )
    checkpoint_interval: float = _setting(
        30.0,
        "Seconds between two checkpoints while audio comes: what a recovery has to read.",
        least=0.1,
        most=3600,
        unit="s",
    )
    segment_bytes: int = _setting(
        64 << 20,
        "A segment with this much PCM is sealed and a new one begun; below 2 GiB, so that every"
        " audio program opens it.",
        least=1 << 16,
        most=1 << 30,
        unit="bytes",
    )
    log_bytes: int = _setting(
        16 << 20,
        "Size of one commit log file; a full one causes a checkpoint.",
        least=1 << 16,
        most=1 << 30,
        unit="bytes",
    )
    open_files: int = _setting(
        1024, "How many segment files are kept open at once.", least=8, most=1_000_000
    )
    lease: float = _setting(
        30.0,
        "Seconds after which a stream is taken from a sender that is not heard of any more.",
        least=0.1,
        most=86400,
        unit="s",
    )
    max_connections: int = _setting(
        1000, "Connections at once; one more is told so and closed.", least=1, most=1_000_000
    )
    max_command: int = _setting(
        64 << 10,
        "Longest command; a longer one is refused.",
        least=1024,
        most=64 << 20,
        unit="bytes",
    )
    max_eval: int = _setting(
        1 << 20, "Longest EVAL command.", least=1024, most=64 << 20, unit="bytes"
    )
    eval_workers: int = _setting(
        2,
        "Processes that evaluate EVAL's programs, each one program at a time; 0 turns EVAL off.",
        least=0,
        most=64,
    )
    eval_queue: int = _setting(
        64, "Programs that may wait for a process; one more is refused.", least=0, most=10_000
    )
    eval_wait: float = _setting(
        30.0,
        "Seconds that a program may wait for a process; then it is refused.",
        least=0.1,
        most=3600,
        unit="s",
    )
    eval_commands: str = _setting(
        "CREATE,OPEN,CLOSE",
        "Commands that change something and that EVAL may use; SHUTDOWN, DELETE, EXPIRE, ATTACH and"
        " STREAM can be named too. What only reads it may always use.",
    )
    eval_library: str = _setting(
        "", "A file of Scheme definitions that every EVAL finds, and cannot change."
    )
    eval_steps: int = _setting(
        10_000_000,
        "Calls of Scheme procedures that a program may make.",
        least=1000,
        most=1 << 40,
    )
    eval_time: float = _setting(
        10.0,
        "Seconds that a program may run; soon after them its process is killed.",
        least=0.1,
        most=3600,
        unit="s",
    )
    eval_memory: int = _setting(
        64 << 20,
        "Memory that a program's values may take; the process can have four times that.",
        least=1 << 20,
        most=16 << 30,
        unit="bytes",
    )
    eval_integer: int = _setting(
        16 << 10,
        "Size of one integer: multiplying larger ones would take long without a pause.",
        least=8,
        most=1 << 20,
        unit="bytes",
    )
    eval_output: int = _setting(
        16 << 20,
        "Size of a program's result, unless it is audio or a file, which are as long as they are.",
        least=1024,
        most=1 << 30,
        unit="bytes",
    )
    eval_nesting: int = _setting(
        1000, "Brackets within brackets in a program's text.", least=10, most=100_000
    )
    max_message: int = _setting(
        64 << 20,
        "Longest message at all; a larger length ends the connection, for it cannot be believed.",
        least=1 << 17,
        most=1 << 30,
        unit="bytes",
    )
    max_inflated: int = _setting(
        1 << 20,
        "What one compressed block may grow to: a few bytes could claim gigabytes.",
        least=1 << 16,
        most=64 << 20,
        unit="bytes",
    )
    max_spool: int = _setting(
        4 << 30,
        "Most PCM that one encoded reply (ENCODE, FORMAT) is made of where its length is known only"
        " at the end: it is written to a temporary file in the data folder meanwhile.",
        least=1 << 20,
        most=1 << 40,
        unit="bytes",
    )
    memory_budget: int = _setting(
        512 << 20,
        "Memory that all connections together may take for messages and replies of more than"
        " 1 MiB: above it they wait, up to 10 s, and are refused then.",
        least=256 << 20,
        most=1 << 40,
        unit="bytes",
    )
    message_time: float = _setting(
        30.0,
        "Seconds in which a message that was begun must be complete, and 1 s more for each 64 KiB"
        " of it (over HTTP for each 8 KiB): half a message must not hold a connection for ever.",
        least=0.1,
        most=3600,
        unit="s",
    )
    send_time: float = _setting(
        30.0,
        "Seconds in which a client must take some of its reply: one that does not read is closed.",
        least=0.1,
        most=3600,
        unit="s",
    )
    shutdown_time: float = _setting(
        5.0,
        "Seconds that requests under way have to finish when the server ends.",
        least=0,
        most=3600,
        unit="s",
    )

    @property
    def users_path(self) -> Path:
        """Where the users file is."""
        return self.data_dir / self.users_file

    @property
    def disabled(self) -> list[str]:
        """The names of the commands that are turned off."""
        return [name.strip() for name in self.disable.split(",") if name.strip()]

    def body_due(self, began: float, now: float, received: int) -> float:
        """Return by when more of a body over HTTP has to come.

        Parameters
        ----------
        began, now
            When it was begun, and the time now, in seconds of any clock.
        received
            Bytes that have come till now.
        """
        return self.message_time + min(now, began + received / LEAST_RATE)


FIELDS = {field.name: field for field in dataclasses.fields(Settings)}


def load_settings(
    flags: Mapping[str, Any], environment: Mapping[str, str], file: Path | None
) -> Settings:
    """Put the settings together from all their sources.

    Parameters
    ----------
    flags
        What was given on the command line, by setting name; None where it was not.
    environment
        The environment variables.
    file
        The TOML file to read, or None.

    Raises
    ------
    StartError
        A setting is unknown or out of bounds, or the file cannot be read; names the source.
    """
    values: dict[str, Any] = {}
    if file is not None:
        for name, value in _read_file(file).items():
            values[name] = _check(name, value, f"in {file}")
    for name in FIELDS:
        variable = ENVIRONMENT_PREFIX + name.upper()
        if variable in environment:
            values[name] = _check(name, environment[variable], f"({variable})")
        if flags.get(name) is not None:
            values[name] = _check(name, flags[name], f"(--{name.replace('_', '-')})")
    return Settings(**values)


def _read_file(file: Path) -> dict[str, Any]:
    try:
        contents = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise StartError(f"the settings file {file} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise StartError(f"the settings file {file} is not TOML: {error}") from None
    return contents


def _check(name: str, value: Any, source: str) -> Any:
    """Return a setting's value in its own type, and within its bounds."""
    field = FIELDS.get(name)
    if field is None:
        raise StartError(f"unknown setting {name!r} {source}; known are {', '.join(FIELDS)}")
    kind: Any = field.type
    try:
        if kind is bool:
            value = _YES_OR_NO[str(value).lower()]
        elif isinstance(value, bool) or (kind is int and isinstance(value, float)):
            raise ValueError
        value = kind(value)
    except (ValueError, TypeError, KeyError):
        what = _KINDS.get(kind, "a text")
        raise StartError(f"setting {name} = {value!r} {source}: it must be {what}") from None
    metadata = field.metadata
    if metadata["choices"] and value not in metadata["choices"]:
        known = ", ".join(metadata["choices"])
        raise StartError(f"setting {name} = {value!r} {source}: it must be one of {known}")
    least, most = metadata["least"], metadata["most"]
    if least is not None and not least <= value <= most:
        raise StartError(f"setting {name} = {value} {source}: it must be {least} to {most}")
    return value.expanduser() if isinstance(value, Path) else value


_KINDS = {int: "a whole number", float: "a number", Path: "a path", bool: "true or false"}
_YES_OR_NO = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def show(value: Any, unit: str = "") -> str:
    """Return a setting's value as people read it: sizes in binary units, times with theirs."""
    if unit == "bytes":
        size = next((s for s in _SIZES if value % s == 0), 1)
        return f"{value // size} {_SIZES.get(size, 'bytes')}"
    if value in ("", False) and not unit:
        return "none" if value == "" else "no"
    return f"{value:g} {unit}" if unit else str(value)


_SIZES = {1 << 30: "GiB", 1 << 20: "MiB", 1 << 10: "KiB"}

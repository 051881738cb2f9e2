"""What the hub remembers: the rows of its database. Times are seconds since the epoch."""

from typing import Any

import msgspec

from racs.runs import RunFile
from racs_server.hub.contract import Contract

PENDING, PROCESSING = "pending", "processing"
COMPLETED, ERROR, ABORTED = "completed", "error", "aborted"
FINAL = (COMPLETED, ERROR, ABORTED)
"""States of a run: pending → processing → completed | error | aborted."""


class Target(msgspec.Struct, frozen=True):
    """What audio is converted to before a rune gets it, and how it gets it.

    Attributes
    ----------
    sample_rate, bit_depth, channels, format
        Of the file.
    handover
        ``path``: a path on this machine; ``url``: an address that is fetched over TLS; ``auto``:
        the path if the rune is on this machine.
    """

    sample_rate: int = 44_100
    bit_depth: int = 16
    channels: int = 2
    format: str = "wav"
    handover: str = "auto"


class Master(msgspec.Struct, frozen=True):
    """A master token, by its hash, and the user who answers for it; "": everyone."""

    hash: str
    owner: str
    created: float


class Key(msgspec.Struct, frozen=True):
    """What a rune shows that it may speak for a master token; kept as its hash."""

    hash: str
    master: str
    name: str
    created: float


class Rune(msgspec.Struct, frozen=True):
    """A connection: what runs under one connection token.

    Attributes
    ----------
    key
        The hash of the key that it was registered with; "" without one.
    loaded
        Whether it is ready for messages.
    host, near
        How it has reached the hub: the host and port that it named, and whether from this machine.
    """

    token: str
    key: str = ""
    contract: Contract | None = None
    loaded: bool = False
    target: Target = Target()
    host: str = ""
    near: bool = True
    compute_at: float = 0.0
    plugin_at: float = 0.0


class Mapping(msgspec.Struct, frozen=True):
    """That a connection is shown to who has a master token (its hash)."""

    id: str
    master: str
    token: str
    name: str
    type: str
    description: str
    created: float
    updated: float


class Upload(msgspec.Struct, frozen=True):
    """A file that was put to the hub.

    Attributes
    ----------
    key
        The hash of the rune's key or of the page's master token that it came with; "" without.
    run
        The run that it came out of; "" for an input, or while that is not known.
    output
        Whether a rune made it.
    original
        Whether it is a sound before the rune's client converted it: another upload is that after.
    """

    id: str
    key: str
    run: str
    name: str
    bytes: int
    sha256: str
    created: float
    output: bool = False
    original: bool = False


class Run(msgspec.Struct, frozen=True):
    """One message to a rune, and what became of it.

    Attributes
    ----------
    values
        As they were asked for; to run it again.
    request
        As it is sent to the rune.
    logs, console
        What the function printed, as the client says, and all that its process did, as the
        launcher does.
    holds
        Whether the rune is busy with it, as far as is known: nothing else is sent to it.
    orphaned
        Whether the hub was restarted meanwhile, so that its reply may be lost.
    offered
        When it was last sent to the rune.
    outputs
        With their uploads' ids in `files`, in the same order; "" where none came. A sound that was
        converted is meant as it was before.
    converted
        The uploads' ids in the same order, as the rune's client has put them.
    archived
        Whether all there is to know of it is in the archive.
    """

    id: str
    token: str
    state: str
    rune: str
    method: str
    values: dict[str, Any]
    request: dict[str, Any]
    created: float
    inputs: tuple[RunFile, ...] = ()
    outputs: tuple[RunFile, ...] = ()
    files: tuple[str, ...] = ()
    converted: tuple[str, ...] = ()
    message: str | None = None
    error: str | None = None
    logs: str = ""
    console: str = ""
    started: float = 0.0
    ended: float = 0.0
    offered: float = 0.0
    holds: bool = False
    orphaned: bool = False
    archived: bool = False

    @property
    def all_logs(self) -> str:
        """What was printed, by whom so ever."""
        return "\n".join(filter(None, (self.logs, self.console)))

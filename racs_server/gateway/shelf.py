"""Files that took work to make, kept for a while: a player that seeks comes for the same one again.

A file belongs here by its entity tag, which tells all that it is made of: a stream that has grown
gives another file, and what there was of it stays as it is. Formats that are made while they are
sent are not kept, since any place of them is found at once.

Invariants
----------
- A file is made once, however many ask for it: whoever waits for it does the next part. So who
  leaves holds up nobody, and what was begun is there for who comes back.
- It has no name on the disk: nothing is left of it, however the server ends.
- What nobody uses takes at most so many bytes, and goes after `KEPT` seconds, or a moment after one
  of its streams was deleted.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import trio

from racs_server.audio.codecs import CODECS, Spooled
from racs_server.commands import Encoding, Piece
from racs_server.errors import MissingError
from racs_server.storage import Store
from racs_server.values import EncodedPlan

KEPT = 600.0
"""Seconds for which a file is kept that nobody asks for."""

MOST_FILES = 100
"""Files that are kept: each takes a file descriptor."""

NO_LIMIT = 2**63 - 1
"""Bytes of a file over HTTP: as many as its format can have."""

_CHECK = 5.0


class SharedFile:
    """A file in the making, or made.

    Parameters
    ----------
    tag
        Its entity tag.
    encoded
        What it is.
    encoding
        What makes it.

    Attributes
    ----------
    users
        How many use it.
    used
        When it was last used, by trio's clock.
    """

    def __init__(self, tag: str, encoded: EncodedPlan, encoding: Encoding) -> None:
        self.tag = tag
        self.encoded = encoded
        self.encoding = encoding
        self.users = 0
        self.used = trio.current_time()
        self.failed = False
        self._turn = trio.Lock()

    def __repr__(self) -> str:
        return f"<SharedFile {self.encoding!r}, used by {self.users}>"

    @property
    def size(self) -> int | None:
        """Its bytes; None while that is not known."""
        return self.encoding.size

    async def make(self, limiter: trio.CapacityLimiter) -> int:
        """Make it as far as its size is known; return that.

        Raises
        ------
        RacsError
            It cannot be made.
        """
        while self.encoding.size is None:
            async with self._turn:
                if self.encoding.size is None:
                    try:
                        await trio.to_thread.run_sync(self.encoding.advance, limiter=limiter)
                    except BaseException:
                        self.failed = True
                        raise
        return self.encoding.size

    def pieces(self, place: int) -> Iterator[Piece]:
        """Return its bytes from a place on, once its size is known."""
        return self.encoding.pieces(place)


class Shelf:
    """Keeps files.

    Parameters
    ----------
    store
        The streams that they are made of.
    folder
        Where they are while they have no name.
    limiter
        How many threads may work on files at once.
    most_bytes
        What all those may take that nobody uses.
    """

    def __init__(
        self, store: Store, folder: Path, limiter: trio.CapacityLimiter, most_bytes: int
    ) -> None:
        self._store = store
        self._folder = folder
        self._limiter = limiter
        self._most_bytes = most_bytes
        self._files: dict[str, SharedFile] = {}

    def __repr__(self) -> str:
        return f"<Shelf {self.statistics()}>"

    def statistics(self) -> dict[str, int]:
        """Return how many files there are, and what they take on the disk."""
        files = self._files.values()
        return {"files": len(files), "bytes": sum(each.encoding.spooled for each in files)}

    def take(self, tag: str, encoded: EncodedPlan) -> SharedFile:
        """Return a file, to be made and read; it is there until `give_back`.

        Parameters
        ----------
        tag
            Its entity tag.
        encoded
            What it is.
        """
        file = self._files.get(tag)
        if file is None or file.failed:
            encoding = Encoding(self._store, encoded, self._folder, NO_LIMIT)
            file = SharedFile(tag, encoded, encoding)
            if isinstance(CODECS.find(encoded.mime_type).way, Spooled):
                self._files[tag] = file
        file.users += 1
        return file

    async def give_back(self, file: SharedFile) -> None:
        """Use a file no more."""
        file.users -= 1
        file.used = trio.current_time()
        if not file.users and self._files.get(file.tag) is not file:
            await self._free([file])
        await self._drop(self._superfluous())

    async def run(self) -> None:
        """Drop what is old and what was deleted, until cancelled; then all."""
        try:
            while True:
                await trio.sleep(_CHECK)
                await self._drop(self._outdated())
        finally:
            self.close()

    def close(self) -> None:
        """Drop all files; blocks."""
        for file in self._files.values():
            file.encoding.close()
        self._files.clear()

    def _idle(self) -> list[SharedFile]:
        """Return the files that nobody uses, the one that was longest not used first."""
        return sorted(
            (each for each in self._files.values() if not each.users), key=lambda each: each.used
        )

    def _superfluous(self) -> list[SharedFile]:
        idle = self._idle()
        going = [each for each in idle if each.failed]
        staying = [each for each in idle if not each.failed]
        taken = sum(each.encoding.spooled for each in staying)
        while taken > self._most_bytes or len(staying) > MOST_FILES:
            going.append(staying.pop(0))
            taken -= going[-1].encoding.spooled
        return going

    def _outdated(self) -> list[SharedFile]:
        horizon = trio.current_time() - KEPT
        return [each for each in self._idle() if each.used < horizon or not self._is_current(each)]

    def _is_current(self, file: SharedFile) -> bool:
        """Whether all that a file is made of is still in the archive."""
        try:
            return all(
                self._store.info(leaf.stream_id).serial == leaf.serial
                for leaf in file.encoded.plan.leaves()
            )
        except MissingError:
            return False

    async def _drop(self, files: Iterable[SharedFile]) -> None:
        files = list(files)
        for file in files:
            del self._files[file.tag]
        await self._free(files)

    async def _free(self, files: list[SharedFile]) -> None:
        """Free what files hold; the blocks of a large one take their time."""
        with trio.CancelScope(shield=True):
            for file in files:
                await trio.to_thread.run_sync(file.encoding.close, limiter=self._limiter)

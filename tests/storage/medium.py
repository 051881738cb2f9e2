"""What a medium holds of files and folders, and what a power cut leaves of it: see `simulated`."""

import random
from collections.abc import Iterator

SECTOR = 512


class FileNode:
    """A file's bytes, as readers see them and as they are on the medium."""

    def __init__(self, data: bytes | bytearray = b"") -> None:
        self.data = bytearray(data)
        self.medium = bytearray(data)
        self._pending: list[tuple[int, bytes] | int] = []

    def write(self, offset: int, data: bytes) -> None:
        _put(self.data, offset, data)
        self._pending.append((offset, data))

    def resize(self, size: int) -> None:
        _resize(self.data, size)
        self._pending.append(size)

    def sync(self) -> None:
        for change in self._pending:
            if isinstance(change, int):
                _resize(self.medium, change)
            else:
                _put(self.medium, *change)
        self._pending.clear()

    def forget_pending(self) -> None:
        self._pending.clear()

    def crash(self, rng: random.Random, keep: str) -> None:
        """Go back to what is on the medium, with any part of what was not synced."""
        limits: dict[int, int] = {}
        total = len(self._pending)
        for number, change in enumerate(self._pending):
            if isinstance(change, int):
                if number < limits.setdefault(-1, _any(rng, keep, total)):
                    _resize(self.medium, change)
                continue
            for sector, offset, data in _sectors(*change):
                if number < limits.setdefault(sector, _any(rng, keep, total)):
                    _put(self.medium, offset, data)
        self._pending.clear()
        self.data = bytearray(self.medium)


def _any(rng: random.Random, keep: str, total: int) -> int:
    """Return how many of a number of writes survive."""
    if keep in {"all", "none"}:
        return total if keep == "all" else 0
    return rng.choice((0, total, rng.randint(0, total)))


def _put(target: bytearray, offset: int, data: bytes) -> None:
    if len(target) < offset:
        target += bytes(offset - len(target))
    target[offset : offset + len(data)] = data


def _resize(target: bytearray, size: int) -> None:
    del target[size:]
    target += bytes(size - len(target))


def _sectors(offset: int, data: bytes) -> Iterator[tuple[int, int, bytes]]:
    stop = offset + len(data)
    while offset < stop:
        sector = offset // SECTOR
        until = min(stop, (sector + 1) * SECTOR)
        yield sector, offset, data[len(data) - stop + offset : len(data) - stop + until]
        offset = until


class FolderNode:
    """A folder's names, as they are seen and as they are on the medium."""

    def __init__(self) -> None:
        self.names: dict[str, FileNode | FolderNode] = {}
        self.medium: dict[str, FileNode | FolderNode] = {}

    def copy(self) -> "FolderNode":
        """Return the same names with the same bytes, all on the medium."""
        other = FolderNode()
        for name, node in self.names.items():
            other.names[name] = node.copy() if isinstance(node, FolderNode) else FileNode(node.data)
        other.medium = dict(other.names)
        return other

    def crash(self, rng: random.Random, keep: str) -> None:
        """Go back to the names that are on the medium, and to what is behind them."""
        self.names = dict(self.medium)
        for name in sorted(self.names):
            self.names[name].crash(rng, keep)


Change = list[tuple[FolderNode, str, FileNode | FolderNode | None]]


class Journal:
    """The changes of names, in order, that are not on the medium yet."""

    def __init__(self) -> None:
        self._changes: list[Change] = []

    def __repr__(self) -> str:
        return f"<Journal of {len(self._changes)} changes>"

    def change(self, change: Change) -> None:
        """Carry out a change; it is not on the medium yet."""
        for folder, name, node in change:
            _set(folder.names, name, node)
        self._changes.append(change)

    def sync(self, folder: FolderNode) -> None:
        """Put the changes of a folder on the medium, with all that has to come before them."""
        folders, due = {folder}, []
        for number in reversed(range(len(self._changes))):
            touched = {folder for folder, _, _ in self._changes[number]}
            if folders & touched:
                folders |= touched
                due.append(self._changes.pop(number))
        for change in reversed(due):
            _commit(change)

    def crash(self, rng: random.Random, keep: str) -> None:
        """Put some of the changes on the medium, and forget the rest.

        ``some`` is some first part of each folder's changes, as a file system with a journal keeps
        them; ``any`` is whatever the names allow: a change survives unless one of the same name
        before it was lost.
        """
        lost: set[FolderNode | tuple[FolderNode, str]] = set()
        for change in self._changes:
            touched: set[FolderNode | tuple[FolderNode, str]] = {
                (folder, name) if keep == "any" else folder for folder, name, _ in change
            }
            kept = keep == "all" or (keep in {"some", "any"} and rng.random() < 0.7)
            if kept and not touched & lost:
                _commit(change)
            else:
                lost |= touched
        self._changes.clear()


def _commit(change: Change) -> None:
    for folder, name, node in change:
        _set(folder.medium, name, node)


def _set(
    names: dict[str, FileNode | FolderNode], name: str, node: FileNode | FolderNode | None
) -> None:
    if node is None:
        names.pop(name, None)
    else:
        names[name] = node

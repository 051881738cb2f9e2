"""``racs-server`` on a disk that loses at a power cut what was not synced.

Run as ``python -m tests.e2e.losing``, with the server's own options. All that the server does to
its data folder is done there, and to a simulated disk beside it, which remembers what is on the
medium. A number (the seed of what survives) written into the pipe ``<data folder>.power`` cuts the
power: from then on no operation of the disk ends. What is left on the medium is written into
``<data folder>.left``, and the process kills itself. SQLite's files stay where they are: it is
believed to keep what it has committed.

``<data folder>.since`` gets the time (of the monotonic clock) at which the last group commit or
checkpoint began that had ended before the cut: all that was acknowledged by then is durable.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from unittest.mock import patch

from racs_server.__main__ import main
from racs_server.storage import Disk
from racs_server.storage.fs import Buffer, DiskFile
from racs_server.storage.upkeep import Upkeep
from tests.storage.simulated import OpenFile, SimulatedDisk


class LosingFile(DiskFile):
    """A file, and the same on the simulated disk."""

    def __init__(self, real: DiskFile, shadow: OpenFile, power: threading.RLock) -> None:
        self._real, self._shadow, self._power = real, shadow, power

    def write(self, parts: Sequence[Buffer], offset: int) -> None:
        with self._power:
            self._real.write(parts, offset)
            self._shadow.write(parts, offset)

    def read_into(self, buffer: memoryview, offset: int) -> int:
        return self._real.read_into(buffer, offset)

    def size(self) -> int:
        return self._real.size()

    def truncate(self, size: int) -> None:
        with self._power:
            self._real.truncate(size)
            self._shadow.truncate(size)

    def allocate(self, size: int) -> None:
        with self._power:
            self._real.allocate(size)
            self._shadow.allocate(size)

    def begin_sync(self) -> None:
        self._real.begin_sync()

    def sync(self) -> None:
        with self._power:
            self._real.sync()
            self._shadow.sync()

    def close(self) -> None:
        self._real.close()
        self._shadow.close()


class LosingDisk(Disk):
    """A data folder, and the same on a simulated disk."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._shadow = SimulatedDisk()
        self._power = threading.RLock()
        for path in sorted(root.rglob("*")):
            name = str(path.relative_to(root))
            if path.is_dir():
                self._shadow.make_folder(name)
                self._shadow.sync_folder(name.rpartition("/")[0])
            elif ".sqlite" not in name:
                self._shadow.put(name, path.read_bytes())
        self.safe_since = 0.0
        os.mkfifo(f"{root}.power")
        threading.Thread(target=self._wait_for_the_cut, daemon=True).start()

    def _wait_for_the_cut(self) -> None:
        seed = int(Path(f"{self._root}.power").read_text())
        with self._power:
            self._shadow.crash(seed)
            for name, contents in self._shadow.contents().items():
                path = Path(f"{self._root}.left", name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(contents)
            Path(f"{self._root}.since").write_text(str(self.safe_since))
            os.kill(os.getpid(), signal.SIGKILL)

    def open(self, name: str, *, create: bool = False, write: bool = True) -> LosingFile:
        with self._power:
            real = super().open(name, create=create, write=write)
            return LosingFile(real, self._shadow.open(name, create=create), self._power)

    def make_folder(self, name: str) -> bool:
        with self._power:
            self._shadow.make_folder(name)
            return super().make_folder(name)

    def replace(self, name: str, *contents: Buffer) -> None:
        with self._power:
            super().replace(name, *contents)
            self._shadow.replace(name, *contents)

    def rename(self, old: str, new: str) -> None:
        with self._power:
            super().rename(old, new)
            if ".sqlite" not in old:
                self._shadow.rename(old, new)

    def remove(self, name: str) -> None:
        with self._power:
            super().remove(name)
            self._shadow.remove(name)

    def remove_tree(self, name: str) -> None:
        with self._power:
            super().remove_tree(name)
            self._shadow.remove_tree(name)

    def sync_folder(self, name: str) -> None:
        with self._power:
            super().sync_folder(name)
            self._shadow.sync_folder(name)


def _noted(work: Callable[[Upkeep], None]) -> Callable[[Upkeep], None]:
    """Let the disk know since when all is durable after a piece of work."""

    def run(upkeep: Upkeep) -> None:
        begun = time.monotonic()
        work(upkeep)
        assert isinstance(upkeep._fs, LosingDisk)
        upkeep._fs.safe_since = max(begun, upkeep._fs.safe_since)

    return run


if __name__ == "__main__":
    with (
        patch("racs_server.app.Disk", LosingDisk),
        patch.object(Upkeep, "sync", _noted(Upkeep.sync)),
        patch.object(Upkeep, "checkpoint", _noted(Upkeep.checkpoint)),
    ):
        main()

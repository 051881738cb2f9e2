"""The hub's folder of files: uploads, and what runs are given.

::

    hub/uploads/<id>                 as they came
    hub/runs/<run id>/<file name>    inputs, converted

Invariants
----------
- No name that comes from outside is part of a path: uploads are found by ids that the hub made,
  inputs by names that it made (`safe_name`).
- An upload is whole: it is written beside its place, synced, and renamed into it.
"""

import hashlib
import hmac
import os
import re
import secrets
import shutil
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import trio

from racs_server.errors import DiskFullError, LimitError, StorageError

_ID = re.compile(r"[0-9a-f]{32}")
_NAME_LENGTH = 80


def safe_name(name: str, suffix: str, taken: Iterable[str] = ()) -> str:
    """Return a file name of ``A-Z a-z 0-9 . _ -`` that no address and no shell minds.

    Parameters
    ----------
    name
        Any; its own suffix is dropped.
    suffix
        The new one, without the point; lower case.
    taken
        Names that it must not be.
    """
    stem = re.sub(r"[^A-Za-z0-9_-]+", "_", Path(name.rpartition("/")[2]).stem)[:_NAME_LENGTH]
    stem = stem.strip("_-") or "file"
    taken = {each.lower() for each in taken}
    found, number = f"{stem}.{suffix}", 1
    while found.lower() in taken:
        number += 1
        found = f"{stem}-{number}.{suffix}"
    return found


class Files:
    """The folder.

    Parameters
    ----------
    folder
        Where it is; it is made.
    most_bytes
        Of one upload.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self._folder = folder
        self.most_bytes = most_bytes
        for inner in ("uploads", "runs"):
            (folder / inner).mkdir(parents=True, exist_ok=True)
        self._secret = _secret(folder / "secret")

    def __repr__(self) -> str:
        return f"<Files {self._folder}>"

    def upload_path(self, upload_id: str) -> Path | None:
        """Return where an upload is; None if the id is none, or the file is gone."""
        path = self._folder / "uploads" / upload_id
        return path if _ID.fullmatch(upload_id) and path.is_file() else None

    def input_path(self, run_id: str, name: str) -> Path:
        """Return where an input of a run is, for a `safe_name`."""
        return self._run_folder(run_id) / name

    def make_run_folder(self, run_id: str) -> Path:
        """Return the folder of a run, made."""
        folder = self._run_folder(run_id)
        folder.mkdir(exist_ok=True)
        return folder

    def _run_folder(self, run_id: str) -> Path:
        return (self._folder / "runs" / hashlib.sha256(run_id.encode()).hexdigest()[:32]).resolve()

    def remove_older(self, horizon: float) -> None:
        """Remove what was last changed before a time, in seconds since the epoch; blocks."""
        for path in (*(self._folder / "uploads").iterdir(), *(self._folder / "runs").iterdir()):
            if path.stat().st_mtime < horizon:
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def sign(self, text: str) -> str:
        """Return what proves that the hub has given a text out."""
        return hmac.new(self._secret, text.encode(), "sha256").hexdigest()[:32]

    def proves(self, signature: str, text: str) -> bool:
        """Whether `sign` has returned that for a text."""
        return hmac.compare_digest(self.sign(text).encode(), signature.encode())

    async def take(self, upload_id: str, chunks: AsyncIterator[bytes]) -> tuple[int, str]:
        """Write an upload to the disk as it comes.

        Returns
        -------
        size, sha256

        Raises
        ------
        LimitError
            It is too large; nothing of it is kept.
        StorageError
            The disk would not take it.
        """
        path = self._folder / "uploads" / upload_id
        part = path.with_name(f"{upload_id}.part")
        digest, size = hashlib.sha256(), 0
        try:
            async with await trio.open_file(part, "wb") as file:
                async for chunk in chunks:
                    size += len(chunk)
                    if size > self.most_bytes:
                        raise LimitError(
                            f"a file of more than {self.most_bytes} bytes; the limit is the setting"
                            " hub_max_file"
                        )
                    digest.update(chunk)
                    await file.write(chunk)
                await file.flush()
                await trio.to_thread.run_sync(os.fsync, file.wrapped.fileno())
            part.replace(path)
        except OSError as error:
            kind = DiskFullError if error.errno == 28 else StorageError
            raise kind(f"an upload could not be kept: {error.strerror}") from error
        finally:
            part.unlink(missing_ok=True)
        return size, digest.hexdigest()


def _secret(path: Path) -> bytes:
    """Return the hub's own secret, made at the first start and readable for its owner alone."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_bytes()
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_bytes(32))
    return path.read_bytes()

"""The streams' folders at start-up: compared with what is known, and put aside if unexplained.

Knows neither the log nor segments.

Invariants
----------
- What cannot be explained is moved to ``lost``, never removed, but for empty folders and those of
  deleted streams.
- A folder of folders that the disk cannot list hides nothing that the catalogue knows.
"""

from collections.abc import Iterator

import msgspec

from racs_server.storage.fs import FileSystem
from racs_server.storage.report import RecoveryReport
from racs_server.storage.stream import FOLDER, LOST, Stream, read_manifest, stream_folders


def sync_folders(fs: FileSystem, found: list[Stream]) -> None:
    """Put on the medium what leads to streams that a folder alone told of, ere the catalogue does.

    A settling that failed, or a kill in its middle, left them where a power cut can take them.
    """
    folders = {stream.folder for stream in found}
    parents = {folder.rpartition("/")[0] for folder in folders}
    for folder in [*sorted(folders), *sorted(parents), *([FOLDER, ""] if found else [])]:
        fs.sync_folder(folder)


def compare_folders(
    fs: FileSystem,
    streams: dict[int, Stream],
    deleted: set[int],
    report: RecoveryReport,
    *,
    is_known: bool,
) -> None:
    """Make the catalogue's streams agree with the folders that there are.

    Parameters
    ----------
    fs, streams, deleted, report
        The data folder; the catalogue's streams, which are changed; serials; is added to.
    is_known
        Whether the catalogue is complete: only then can a folder that the disk cannot list be done
        without.

    Raises
    ------
    OSError
        A folder cannot be listed.
    """
    unreadable: dict[str, OSError] = {}
    folders = set(stream_folders(fs, unreadable))
    if unreadable and not is_known:
        raise next(iter(unreadable.values()))
    for folder, error in unreadable.items():
        report.notes.append(
            f"{folder} cannot be listed ({error.strerror}): of the streams in it those are shown"
            " that the catalogue knows. Look after the disk"
        )
    for serial, stream in list(streams.items()):
        if stream.folder not in folders and stream.folder.rpartition("/")[0] not in unreadable:
            report.notes.append(f"the folder of stream {stream.id!r} is gone")
            del streams[serial]
    for folder in sorted(folders - {stream.folder for stream in streams.values()}):
        try:
            stream = read_manifest(fs, folder)
        except FileNotFoundError:
            continue  # made since the last checkpoint: the log knows it, or nobody
        except (OSError, ValueError, msgspec.MsgspecError) as error:
            report.notes.append(f"{folder} cannot be understood ({error})")
            continue
        if stream.serial not in deleted:
            streams[stream.serial] = stream


def move_unexplained(
    fs: FileSystem, streams: dict[int, Stream], deleted: set[int], report: RecoveryReport
) -> None:
    """Put folders that belong to no stream where a new stream cannot stumble over them."""
    unexplained = sorted(set(stream_folders(fs, {})) - {s.folder for s in streams.values()})
    for folder in unexplained:
        if _is_deleted(fs, folder, deleted) or not fs.list(folder):
            fs.remove_tree(folder)
            continue
        report.notes.append(f"{folder} belongs to no stream: moved to {move_to_lost(fs, folder)}")
    # Or a power cut could bring a deleted stream back when the log says nothing of it any more.
    for parent in sorted({folder.rpartition("/")[0] for folder in unexplained}):
        fs.sync_folder(parent)


def _is_deleted(fs: FileSystem, folder: str, deleted: set[int]) -> bool:
    try:
        return read_manifest(fs, folder).serial in deleted
    except (OSError, ValueError, msgspec.MsgspecError):
        return False


def move_to_lost(fs: FileSystem, folder: str) -> str:
    """Move a folder to a name of its own in ``lost``, and return that name."""
    fs.make_folder(LOST)
    taken = set(fs.list(LOST))
    base = folder.rpartition("/")[2]
    name = next(n for n in _numbered(base) if n not in taken)
    fs.rename(folder, f"{LOST}/{name}")
    return f"{LOST}/{name}"


def _numbered(base: str) -> Iterator[str]:
    yield base
    number = 1
    while True:
        number += 1
        yield f"{base}.{number}"

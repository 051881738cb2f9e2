"""What has come out of a run: the files of its reply, and what was put, brought together. Pure.

The client of runes puts each file, and names all of them in its reply, but does not say which is
which. A sound it converts before; the launcher puts it as it was just before that.
"""

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

import msgspec

from racs.runs.record import RunFile, kind_of
from racs_server.hub.rows import Upload


class Outputs(msgspec.Struct, frozen=True):
    """What has come out of a run.

    Attributes
    ----------
    files
        For people and the archive.
    kept
        Their uploads, in the same order; a sound as it was before it was converted. None where
        nothing came.
    put
        The same as the client has put them.
    """

    files: tuple[RunFile, ...]
    kept: tuple[Upload | None, ...]
    put: tuple[Upload | None, ...]


def outputs_of(
    files: Sequence[dict[str, Any]], mine: Sequence[Upload], strangers: Sequence[Upload] = ()
) -> Outputs:
    """Return what has come out of a run.

    Parameters
    ----------
    files
        The reply's.
    mine
        What was put and certainly came out of this run.
    strangers
        What may have.
    """
    own = [each for each in mine if not each.original]
    matched = match_files(files, own, [each for each in strangers if not each.original])
    # what was put but is not in the reply came out of the run all the same
    put = [*matched, *(upload for upload in own if upload not in matched)]
    told: list[dict[str, Any]] = [*files, *({} for _ in put[len(files) :])]
    names = [_name(file, upload) for file, upload in zip(told, put, strict=True)]
    originals = [each for each in (*mine, *strangers) if each.original]
    before, alone = match_originals(names, originals)
    kept = [*(first or second for first, second in zip(before, put, strict=True)), *alone]
    told += [{} for _ in alone]
    found = enumerate(zip(told, kept, strict=True), 1)
    return Outputs(
        tuple(_output(number, file, upload) for number, (file, upload) in found),
        tuple(kept),
        (*put, *alone),
    )


def match_files(
    files: Sequence[dict[str, Any]], mine: Sequence[Upload], strangers: Sequence[Upload] = ()
) -> list[Upload | None]:
    """Return the upload of each file of a reply, by name and order.

    Those that are left are taken by order alone: the client's names lose what cannot be in an
    address on their way here.

    Parameters
    ----------
    files
        The reply's.
    mine
        What certainly came out of this run.
    strangers
        What may have: by name only.
    """
    left = [*mine, *strangers]
    found: list[Upload | None] = []
    for file in files:
        upload = next((each for each in left if each.name == file.get("name")), None)
        found.append(upload)
        if upload is not None:
            left.remove(upload)
    rest = [upload for upload in mine if upload in left]
    return [upload or (rest.pop(0) if rest else None) for upload in found]


def match_originals(
    names: Sequence[str], originals: Sequence[Upload]
) -> tuple[list[Upload | None], list[Upload]]:
    """Return what each file was before the client converted it, and the originals that are left.

    Parameters
    ----------
    names
        The files', in order; the client changes their endings.
    originals
        In the order in which they came.
    """
    left = list(originals)
    found: list[Upload | None] = []
    for name in names:
        original = next((each for each in left if _stem(each.name) == _stem(name)), None)
        found.append(original)
        if original is not None:
            left.remove(original)
    return found, left


def _output(number: int, file: dict[str, Any], upload: Upload | None) -> RunFile:
    original = upload is not None and upload.original
    name = upload.name if upload and original else _name(file, upload)
    return RunFile(
        number=number,
        name=name,
        type="audio" if original else text_of(file.get("type")) or kind_of(name),
        bytes=upload.bytes if upload else 0,
        sha256=upload.sha256 if upload else "",
        problem="" if upload else "the rune did not upload it",
    )


def _name(file: dict[str, Any], upload: Upload | None) -> str:
    name = text_of(file.get("name")) or (upload.name if upload else "") or "file"
    return name.rpartition("/")[2] or "file"


def _stem(name: str) -> str:
    return PurePosixPath(name).stem


def ids_of(uploads: Sequence[Upload | None]) -> tuple[str, ...]:
    """Return the ids of uploads; "" for those that did not come."""
    return tuple(upload.id if upload else "" for upload in uploads)


def shortened(text: str, most: int) -> str:
    """Return a text, or its begin and its end, which says what went wrong, if it is too long."""
    if len(text) <= most:
        return text
    left_out = len(text) - most
    return f"{text[: most // 2]}\n… {left_out} characters are left out …\n{text[-(most // 2) :]}"


def text_of(value: object) -> str | None:
    """Return what a reply says as text; None stays."""
    return None if value is None else value if isinstance(value, str) else str(value)

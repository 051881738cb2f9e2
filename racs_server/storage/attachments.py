"""Files that belong to a stream: one file each in the folder ``attachments`` of the stream's own.

A file's name is 32 hex digits, the BLAKE2b hash (16 bytes) of the attachment's name in UTF-8: so no
name can leave the folder. All integers are little-endian::

    0   8  RACSATT1
    8   8  length of the contents
    16  4  CRC-32C of the contents
    20  2  length of the name
    22  .. the name, UTF-8
    ..  4  CRC-32C of all bytes before
    ..  .. the contents

Worked example: ``abc`` by the name ``é`` is ``52 41 43 53 41 54 54 31  03 00*7  b7 3f 4b 36  02 00
c3 a9  <crc of the 24 bytes before>  61 62 63``.

Invariant: a file is replaced as a whole, and is durable when `write` returns.
"""

import struct
from hashlib import blake2b

from crc32c import crc32c

from racs_server.errors import LimitError, MissingError
from racs_server.storage.fs import Buffer, FileSystem

MAX_ATTACHMENT = 100 << 20
FOLDER = "attachments"
_MAGIC = b"RACSATT1"
_HEAD = struct.Struct("<8sQIH")
_LONGEST_HEAD = _HEAD.size + 255 + 4


def file_name(folder: str, name: str) -> str:
    """Return where an attachment of the stream in a folder lies."""
    return f"{folder}/{FOLDER}/{blake2b(name.encode(), digest_size=16).hexdigest()}"


def check_size(size: int) -> None:
    """Raise `LimitError` if so many bytes are too many."""
    if size > MAX_ATTACHMENT:
        raise LimitError(
            f"an attachment of {size} bytes; at most {MAX_ATTACHMENT} (100 MiB) are allowed"
        )


def head_of(name: str, contents: Buffer) -> bytes:
    """Return the bytes of an attachment's file that come before its contents."""
    text = name.encode()
    head = _HEAD.pack(_MAGIC, len(contents), crc32c(contents), len(text)) + text
    return head + crc32c(head).to_bytes(4, "little")


def write(fs: FileSystem, folder: str, name: str, contents: Buffer) -> None:
    """Store an attachment durably, in the place of one of the same name; `OSError` if it fails."""
    inner = f"{folder}/{FOLDER}"
    fs.make_folder(inner)
    fs.replace(file_name(folder, name), head_of(name, contents), contents)
    fs.sync_folder(inner)
    # Even where the inner one was there: whoever made it may have failed before this.
    fs.sync_folder(folder)


def read(fs: FileSystem, folder: str, name: str) -> bytes:
    """Return an attachment's contents.

    Raises
    ------
    FileNotFoundError
        There is none of that name.
    ValueError
        Its file is damaged.
    """
    path = file_name(folder, name)
    return parse(folder, path.rpartition("/")[2], fs.read(path))


def parse(folder: str, entry: str, contents: bytes) -> bytes:
    """Return what the file of that name, in the stream's folder, holds for its owner.

    Raises
    ------
    ValueError
        It is damaged.
    """
    name, length, check, start = _parse(contents)
    data = contents[start:]
    if not file_name(folder, name).endswith(f"/{entry}"):
        raise ValueError("it is not the file of the name that it holds")
    if len(data) != length or crc32c(data) != check:
        raise ValueError("its contents do not match their checksum")
    return data


def names(fs: FileSystem, folder: str) -> list[str]:
    """Return the names of a stream's attachments, sorted; without those whose head is damaged."""
    found = []
    for entry in fs.list(f"{folder}/{FOLDER}"):
        path = f"{folder}/{FOLDER}/{entry}"
        file = fs.open(path)
        try:
            buffer = bytearray(_LONGEST_HEAD)
            count = file.read_into(memoryview(buffer), 0)
        finally:
            file.close()
        try:
            name = _parse(bytes(buffer[:count]))[0]
        except ValueError:
            continue
        if file_name(folder, name) == path:
            found.append(name)
    return sorted(found)


def _parse(contents: bytes) -> tuple[str, int, int, int]:
    """Return name, length, checksum, and where the contents begin; `ValueError` if damaged."""
    try:
        magic, length, check, size = _HEAD.unpack_from(contents)
    except struct.error:
        raise ValueError("its head is cut off") from None
    stop = _HEAD.size + size
    head, head_check = contents[:stop], contents[stop : stop + 4]
    if magic != _MAGIC or crc32c(head).to_bytes(4, "little") != head_check:
        raise ValueError("its head does not match its checksum")
    return head[_HEAD.size :].decode(), length, check, stop + 4


def missing(stream_id: str, name: str) -> MissingError:
    """Return the error for an attachment that is not there."""
    return MissingError(
        f"stream {stream_id!r} has no attachment {name!r}: ATTACHMENTS tells what it has"
    )

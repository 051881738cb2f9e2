"""The simplest programs that do only what cannot be avoided: what the server is measured against.

Each is a server of blocking sockets, with a process for each connection, and no protocol beyond the
length of a message. Run as ``python -m scripts.benchmark.limits JOB ...``; it prints its port.

========= ======================================================================================
job       what it does for each message
========= ======================================================================================
echo      reads it and sends a reply of the same size as ours
ingest    reads it, checks its CRC-32C, writes it behind the last one, replies to it
append    the same without the reply, but for one at the end
extract   the message names a range of bytes: reads it from a file, makes int32 of it, sends that
========= ======================================================================================
"""

import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
from crc32c import crc32c

from scripts.benchmark.load import PREFIX, receive_exactly

PONG = b"\x92\xa6string\xa4PONG"
NULL = b"\x91\xa4null"
RANGE = struct.Struct("<QQ")
_SYNC_EVERY = 0.2
_PIECE = 256 << 10
_BUFFER = 4 << 20


def with_prefix(body: bytes) -> bytes:
    """Return a message: its length in 8 bytes, then itself."""
    return len(body).to_bytes(PREFIX, "little") + body


def echo(client: socket.socket, _: Path, __: str) -> None:
    """Answer every message with PONG."""
    buffer = memoryview(bytearray(_BUFFER))
    reply = with_prefix(PONG)
    while client.recv_into(buffer):
        client.sendall(reply)


def ingest(client: socket.socket, folder: Path, durability: str, *, replies: bool = True) -> None:
    """Check and store every message."""
    buffer = memoryview(bytearray(_BUFFER))
    reply = with_prefix(NULL)
    path = folder / str(os.getpid())
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    path.unlink()  # its room is given back when the client leaves
    if durability == "interval":
        threading.Thread(target=_sync_now_and_then, args=(fd,), daemon=True).start()
    position = filled = 0
    while count := client.recv_into(buffer[filled:]):
        filled += count
        start = 0
        while start + PREFIX <= filled:
            end = start + PREFIX + int.from_bytes(buffer[start : start + PREFIX], "little")
            if end > filled:
                break
            message = buffer[start + PREFIX : end]
            crc32c(message)
            position += os.pwrite(fd, message, position)
            if durability == "always" or not message:
                os.fdatasync(fd)
            if replies or not message:
                client.sendall(reply)
            start = end
        buffer[: filled - start] = buffer[start:filled]
        filled -= start


def append(client: socket.socket, folder: Path, durability: str) -> None:
    """Check and store every message; reply when it is one of length 0."""
    ingest(client, folder, durability, replies=False)


def extract(client: socket.socket, folder: Path, name: str) -> None:
    """Send ranges of a file of 16-bit samples as int32."""
    fd = os.open(folder / name, os.O_RDONLY)
    buffer = bytearray(_PIECE)
    while True:
        try:
            start, size = RANGE.unpack(receive_exactly(client, RANGE.size))
        except ConnectionError:
            return
        client.sendall((2 * size).to_bytes(PREFIX, "little"))
        for at in range(start, start + size, _PIECE):
            view = memoryview(buffer)[: min(_PIECE, start + size - at)]
            os.preadv(fd, [view], at)
            client.sendall(np.frombuffer(view, np.int16).astype(np.int32).data)


def _sync_now_and_then(fd: int) -> None:
    while True:
        time.sleep(_SYNC_EVERY)
        os.fdatasync(fd)


JOBS: dict[str, Callable[[socket.socket, Path, str], None]] = {
    "echo": echo,
    "ingest": ingest,
    "append": append,
    "extract": extract,
}


def main() -> None:
    """Serve until killed: arguments are the job, a folder, and what else the job needs."""
    job, folder, detail = sys.argv[1:]
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    print(listener.getsockname()[1], flush=True)
    while True:
        client, _ = listener.accept()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if os.fork() == 0:
            listener.close()
            with suppress(ConnectionError):
                JOBS[job](client, Path(folder), detail)
            os._exit(0)
        client.close()
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


if __name__ == "__main__":
    main()

"""What makes the load: clients of raw blocking sockets, each in a process of its own.

They are as simple as can be, so that what is measured is the server: messages are made beforehand,
replies are read and counted, and not unpacked where their length tells enough.
"""

import os
import socket
import time
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from typing import Any

import msgspec

from racs.wire import decode_reply, encode_command, encode_frame, encode_single, stream_hash

PREFIX = 8
_fork = get_context("fork")


class Pace(msgspec.Struct, frozen=True):
    """How long to go on, in seconds: first unmeasured, then measured."""

    warm_up: float
    measured: float


class Count(msgspec.Struct, frozen=True):
    """What one client did.

    Attributes
    ----------
    requests
        How many requests were answered.
    seconds
        In how much time.
    times
        How long each took, in seconds.
    """

    requests: int
    seconds: float
    times: list[float] = []

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


def connect(port: int) -> socket.socket:
    """Return a connection to a server on this machine."""
    client = socket.create_connection(("127.0.0.1", port))
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def receive_exactly(client: socket.socket, size: int) -> bytearray:
    """Return so many bytes; `ConnectionError` if the peer leaves before."""
    data = bytearray(size)
    view, got = memoryview(data), 0
    while got < size:
        count = client.recv_into(view[got:])
        if not count:
            raise ConnectionError("the server has closed the connection")
        got += count
    return data


def receive_reply(client: socket.socket) -> bytearray:
    """Return the next reply's body."""
    return receive_exactly(client, int.from_bytes(receive_exactly(client, PREFIX), "little"))


def call(client: socket.socket, text: str) -> Any:
    """Carry out a command; return its value."""
    client.sendall(encode_command(text))
    return decode_reply(receive_reply(client))


def open_stream(client: socket.socket, stream_id: str, *, rate: int = 44100) -> None:
    """Make a stream, 16-bit stereo, and open it."""
    call(client, f"CREATE '{stream_id}' {rate} 2 16 |> OPEN '{stream_id}'")


def block_message(stream_id: str, block: bytes) -> bytes:
    """Return the message with one block for a stream, in a session of this process."""
    session = os.getpid().to_bytes(16, "little")
    return encode_single(encode_frame(stream_hash(stream_id), session, block))


def lockstep(client: socket.socket, message: bytes, reply_size: int, pace: Pace) -> Count:
    """Send a message, wait for the reply, and so on.

    Parameters
    ----------
    client
        The connection.
    message
        Is sent again and again.
    reply_size
        Bytes of a reply, with its prefix. An error is longer, or shorter: it ends the benchmark.
    pace
        How long.
    """
    reply = bytearray(reply_size + 64)
    begin = time.perf_counter() + pace.warm_up
    end = begin + pace.measured
    times = []
    before = time.perf_counter()
    while before < end:
        client.sendall(message)
        got = client.recv_into(reply)
        while got < reply_size:
            got += client.recv_into(memoryview(reply)[got:]) or _gone()
        if got != reply_size:
            raise ValueError(f"an unexpected reply: {bytes(reply[:got])!r}")
        now = time.perf_counter()
        if before >= begin:
            times.append(now - before)
        before = now
    return Count(len(times), before - begin, times)


def batches(client: socket.socket, batch: bytes, reply_size: int, pace: Pace) -> Count:
    """Do the same with one more batch always on its way already."""
    begin = time.perf_counter() + pace.warm_up
    end = begin + pace.measured
    client.sendall(batch)
    requests = 0
    now = time.perf_counter()
    while now < end:
        client.sendall(batch)
        receive_exactly(client, reply_size)
        now = time.perf_counter()
        requests += now >= begin
    receive_exactly(client, reply_size)
    return Count(requests, now - begin)


def append(client: socket.socket, message: bytes, pace: Pace) -> Count:
    """Send a message again and again without waiting for replies, at the end one of length 0.

    What is measured is how fast the server takes them: what lies between is small.
    """
    begin = time.perf_counter() + pace.warm_up
    end = begin + pace.measured
    requests = 0
    now = time.perf_counter()
    while now < end:
        client.sendall(message)
        now = time.perf_counter()
        requests += now >= begin
    client.sendall(bytes(PREFIX))
    client.shutdown(socket.SHUT_WR)
    reports = bytearray()
    while data := client.recv(1 << 16):
        reports += data
    if b"error" in reports:
        raise ValueError(f"an error in append mode: {bytes(reports)!r}")
    return Count(requests, now - begin)


def _gone() -> int:
    raise ConnectionError("the server has closed the connection")


def together(jobs: Sequence[Callable[[], Count]], cores: set[int]) -> list[Count]:
    """Do jobs at once, each in a process of its own; return what they return.

    Parameters
    ----------
    jobs
        What to do. A job's preparations are its own; it measures from when it is ready on.
    cores
        Where they may run.
    """
    processes, ends = [], []
    for job in jobs:
        mine, theirs = _fork.Pipe(duplex=False)
        process = _fork.Process(target=_work, args=(job, cores, theirs))
        process.start()
        theirs.close()
        processes.append(process)
        ends.append(mine)
    outcomes = [end.recv() for end in ends]
    for process in processes:
        process.join()
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome
    return outcomes


def _work(job: Callable[[], Count], cores: set[int], answer: Any) -> None:
    os.sched_setaffinity(0, cores)
    try:
        answer.send(job())
    except Exception as error:
        answer.send(error)

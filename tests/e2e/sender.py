"""A client that sends until its server is gone, and knows what was acknowledged."""

import socket
import time

import numpy as np

from racs import Racs
from racs.wire import encode_frame, encode_single, stream_hash

NULL = b"\x91\xa4null"


class Sender:
    """A client that appends blocks to a stream of its own until the server is gone.

    Attributes
    ----------
    sent, acknowledged
        The PCM that was sent, and how many bytes of it were acknowledged.
    times
        When that became more, by the monotonic clock, and up to where.
    """

    def __init__(self, stream_id: str, seed: int) -> None:
        self.stream_id = stream_id
        self.sent = b""
        self.acknowledged = 0
        self.times: list[tuple[float, int]] = []
        self._rng = np.random.default_rng(seed)

    def __repr__(self) -> str:
        return f"<Sender {self.stream_id}: {self.acknowledged} of {len(self.sent)} bytes>"

    def run(self, port: int) -> None:
        """Append and count acknowledgements, one after the other."""
        session = self._rng.bytes(16)
        with socket.create_connection(("127.0.0.1", port)) as sock, sock.makefile("rb") as replies:
            while True:
                block = self._rng.bytes(4 * int(self._rng.integers(1, 8000)))
                self.sent += block
                try:
                    sock.sendall(encode_single(encode_frame(self._hash, session, block)))
                    reply = replies.read(14)
                except OSError:
                    return
                if len(reply) < 14:
                    return
                assert reply[8:] == NULL
                self.acknowledged = len(self.sent)
                self.times.append((time.monotonic(), self.acknowledged))

    def acknowledged_by(self, moment: float) -> int:
        """Return how many bytes had been acknowledged at a moment."""
        return max((size for time_, size in self.times if time_ < moment), default=0)

    @property
    def _hash(self) -> int:
        return stream_hash(self.stream_id)

    def check(self, racs: Racs, least: int | None = None) -> None:
        """Compare what is archived with what was sent, and go on from there.

        Parameters
        ----------
        racs
            The server's client.
        least
            How many bytes must be there; None: all that were acknowledged.
        """
        stored = pcm_of(racs, self.stream_id)
        least = self.acknowledged if least is None else least
        assert least <= len(stored) <= len(self.sent), self
        assert stored == self.sent[: len(stored)], self
        self.sent, self.acknowledged = stored, len(stored)
        self.times = [(0.0, len(stored))]


def pcm_of(racs: Racs, stream_id: str) -> bytes:
    """Return all that a stream of 16 bits has."""
    values: np.ndarray = racs.execute_command(f"EXTRACT '{stream_id}' 0 9999999999999")
    return values.astype("<i2").tobytes()

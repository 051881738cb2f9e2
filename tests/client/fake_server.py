"""A small real server on a loopback socket: a thread for each connection, streams in memory.

It understands just the commands that the client's own calls send. What a test wants to go wrong it
scripts: `replies` maps command texts to what is sent back instead, `on_audio` sees each audio
message first, after `most_bytes` a connection is ended.
"""

import os
import re
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from racs.wire import AudioFrames, Command, Event, Rejected, ServerConnection, stream_hash
from racs.wire.replies import Value, encode_error, encode_reply

NOT_OPEN = "Stream is closed or currently in use."


def until(condition: Callable[[], bool]) -> None:
    """Give way to other threads until something has come about."""
    while not condition():
        os.sched_yield()


class HangUp(Exception):
    """Raised by a script: send these bytes, and end the connection."""

    def __init__(self, last: bytes = b"") -> None:
        super().__init__(last)
        self.last = last


class MemoryStream:
    """One stream: its format, its PCM, and how the messages came that it is made of."""

    def __init__(self, sample_rate: int, channels: int, bit_depth: int) -> None:
        self.info = {"sample_rate": sample_rate, "channels": channels, "bit_depth": bit_depth}
        self.pcm = bytearray()
        self.blocks: list[int] = []
        self.messages: list[int] = []
        self.sessions: set[bytes] = set()
        self.is_open = False


class FakeServer:
    """Listens as soon as it is made; `stop` ends every connection and the listener."""

    def __init__(self) -> None:
        self.streams: dict[str, MemoryStream] = {}
        self.commands: list[str] = []
        self.replies: dict[str, Callable[[], bytes] | bytes] = {}
        self.on_audio: Callable[[int], bytes | None] = lambda number: None
        self.most_bytes: int | None = None
        self.accepted = 0
        self.audio_messages = 0
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._start(self._listen)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def add(
        self,
        name: str,
        *,
        rate: int = 44100,
        channels: int = 2,
        depth: int = 16,
        opened: bool = True,
    ) -> MemoryStream:
        stream = self.streams[name] = MemoryStream(rate, channels, depth)
        stream.is_open = opened
        return stream

    def stop(self) -> None:
        self.drop_connections()
        if self._listener.fileno() != -1:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
        for thread in self._threads:
            thread.join()

    def drop_connections(self) -> None:
        """End all connections, as a restart of the server does."""
        with self._lock:
            sockets, self._sockets = self._sockets, []
        for sock in sockets:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _listen(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.accepted += 1
                self._sockets.append(sock)
            self._start(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        wire = ServerConnection()
        come = 0
        with sock:
            try:
                while count := sock.recv_into(wire.get_buffer()):
                    come += count
                    if self.most_bytes is not None and come > self.most_bytes:
                        return
                    wire.received(count)
                    while (event := wire.next_event()) is not None:
                        sock.sendall(self._answer(event))
            except HangUp as error:
                if error.last:
                    self._hang_up(sock, error.last)
            except OSError:
                return

    def _hang_up(self, sock: socket.socket, last: bytes) -> None:
        """Send last words so that they arrive: closing while bytes come in may destroy them."""
        sock.sendall(last)
        sock.shutdown(socket.SHUT_WR)
        try:
            while sock.recv(1 << 20):
                continue
        except OSError:
            return

    def _answer(self, event: Event) -> bytes:
        with self._lock:
            if isinstance(event, AudioFrames):
                self.audio_messages += 1
                number = self.audio_messages - 1
        if isinstance(event, AudioFrames):
            scripted = self.on_audio(number)
            with self._lock:
                return self._append(event) if scripted is None else scripted
        if isinstance(event, Rejected):
            return encode_error(event.reason)
        assert isinstance(event, Command)
        with self._lock:
            self.commands.append(event.text)
            reply = self.replies.get(event.text)
        if reply is not None:
            return reply if isinstance(reply, bytes) else reply()
        with self._lock:
            return self._run(event.text)

    def _append(self, event: AudioFrames) -> bytes:
        streams = {stream_hash(name): stream for name, stream in self.streams.items()}
        stream = streams.get(event.frames[0].stream_hash)
        if stream is None or not stream.is_open:
            return encode_error(NOT_OPEN)
        stream.messages.append(len(event.frames))
        for frame in event.frames:
            stream.pcm += frame.pcm
            stream.blocks.append(len(frame.pcm))
            stream.sessions.add(frame.session)
        return encode_reply(None)

    def _run(self, text: str) -> bytes:
        words = [quoted or bare for quoted, bare in re.findall(r"'([^']*)'|([^'\s]+)", text)]
        stream = self.streams.get(words[1]) if len(words) > 1 else None
        value: Value = None
        match words:
            case ["PING"]:
                value = "PONG"
            case ["INFO", _, attribute] if stream is not None:
                value = stream.info[attribute]
            case ["OPEN", _] if stream is not None and not stream.is_open:
                stream.is_open = True
            case ["CLOSE", _] if stream is not None and stream.is_open:
                stream.is_open = False
            case _:
                return encode_error(f"cannot run {text}")
        return encode_reply(value)

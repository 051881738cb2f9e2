"""Clients' sockets at rest: who is answered when, and by whom."""

import itertools
import socket
from types import SimpleNamespace

import pytest
import trio
import trio.testing

from racs_server.net.lookout import Answer, Lookout, Send
from racs_server.net.transport import SHUT_PATIENCE, SocketTransport


class Peer:
    """A transport, and the client's end of it; what comes is echoed."""

    def __init__(self, lookout: Lookout) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.client = socket.create_connection(listener.getsockname())
            server, _ = listener.accept()
        server.setblocking(False)
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(server))
        self.transport = SocketTransport(stream, lookout)
        self.asked = 0
        self.came: bytes | None = None

    async def rest(self) -> None:
        """Be answered, until the client leaves or wants time."""
        await self.transport.rest(self.answer, self.send)

    def answer(self) -> None:
        """Take what has come; it is echoed."""
        buffer = memoryview(bytearray(64))
        count = self.transport.receive_now(buffer)
        self.came = None if count is None else bytes(buffer[:count])
        self.asked += bool(count)

    def send(self) -> bool:
        """Send the echo; whether that was of anything but the end, or a wish for more time."""
        if not self.came:
            return self.came is None
        self.transport.send_now(memoryview(self.came))
        return not self.came.endswith(b"slow")

    def ask(self, request: bytes = b"request") -> None:
        """Send a request."""
        self.client.sendall(request)

    async def reply(self) -> bytes:
        """Return the reply, once it has come."""
        await trio.lowlevel.wait_readable(self.client.fileno())
        return self.client.recv(64)

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *_: object) -> None:
        self.transport.close()
        self.client.close()


@pytest.fixture
def lookout(nursery: trio.Nursery) -> Lookout:
    made = Lookout()
    nursery.start_soon(made.run)
    return made


async def test_all_who_rest_are_answered(lookout: Lookout, nursery: trio.Nursery) -> None:
    with Peer(lookout) as one, Peer(lookout) as other:
        for peer in (one, other):
            nursery.start_soon(peer.rest)
        for _ in range(3):
            one.ask()
            other.ask(b"other")
            assert (await one.reply(), await other.reply()) == (b"request", b"other")
        nursery.cancel_scope.cancel()


async def test_all_who_have_asked_are_answered_before_a_reply_is_sent(
    lookout: Lookout, nursery: trio.Nursery
) -> None:
    done = []

    def noted(peer: Peer) -> tuple[Answer, Send]:
        def answer() -> None:
            done.append("answered")
            peer.answer()

        def send() -> bool:
            done.append("sent")
            return peer.send()

        return answer, send

    with Peer(lookout) as one, Peer(lookout) as other:
        for peer in (one, other):
            peer.ask()
            nursery.start_soon(peer.transport.rest, *noted(peer))
        for peer in (one, other):
            assert await peer.reply() == b"request"
        nursery.cancel_scope.cancel()
    assert done == ["answered", "answered", "sent", "sent"]


async def test_other_threads_have_things_called_in_a_turn(lookout: Lookout) -> None:
    done = trio.Event()
    await trio.to_thread.run_sync(lookout.call_soon, done.set)
    await done.wait()


async def test_what_is_called_when_nobody_looks_out_any_more_is_called_nevertheless() -> None:
    lookout, before, after = Lookout(), trio.Event(), trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lookout.run)
        await trio.testing.wait_all_tasks_blocked()
        lookout.call_soon(before.set)
        nursery.cancel_scope.cancel()
    await before.wait()
    await trio.to_thread.run_sync(lookout.call_soon, after.set)
    await after.wait()


async def test_while_another_thread_is_needed_it_is_not_kept_from_the_processor(
    nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = itertools.count()

    def perf_counter() -> float:
        assert next(looks) < 100, "it stays awake"
        return 0.0

    # time stands still: who stays awake for a moment does so until bytes come
    clock = SimpleNamespace(perf_counter=perf_counter)
    monkeypatch.setattr("racs_server.net.lookout.time", clock)
    lookout = Lookout(lambda: True)
    nursery.start_soon(lookout.run)
    with Peer(lookout) as peer:
        nursery.start_soon(peer.rest)
        peer.ask()
        assert await peer.reply() == b"request"
        nursery.cancel_scope.cancel()


async def test_a_client_that_takes_time_is_left_to_its_own_task(
    lookout: Lookout, nursery: trio.Nursery
) -> None:
    with Peer(lookout) as one, Peer(lookout) as other:
        nursery.start_soon(other.rest)
        one.ask(b"slow")
        await one.rest()
        one.ask()
        other.ask()
        assert await other.reply() == b"request"
        assert one.asked == 1, "nobody else takes its next request"
        one.ask(b"slow")
        await one.rest()
        assert one.asked > 1
        nursery.cancel_scope.cancel()


async def test_all_other_tasks_get_their_turn(lookout: Lookout, nursery: trio.Nursery) -> None:
    with Peer(lookout) as peer:
        turns = 0

        def send() -> bool:
            peer.send()
            peer.ask()  # there is always something to do
            return turns < 10

        nursery.start_soon(peer.transport.rest, peer.answer, send)
        peer.ask()
        while turns < 10:
            await trio.lowlevel.checkpoint()
            turns += 1
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("cut", [True, False])
async def test_a_client_that_leaves(lookout: Lookout, *, cut: bool) -> None:
    with Peer(lookout) as peer:
        if cut:
            linger = bytes([1, 0, 0, 0] + 4 * [0])
            peer.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        peer.client.close()
        if cut:
            with pytest.raises(trio.BrokenResourceError):
                await peer.rest()
        else:
            await peer.rest()
            assert await peer.transport.receive_into(memoryview(bytearray(64))) == 0


async def test_who_is_cancelled_is_waited_for_no_more(lookout: Lookout) -> None:
    with Peer(lookout) as peer:
        with trio.move_on_after(0) as scope:
            await peer.rest()
        assert scope.cancelled_caught
        peer.ask()
        buffer = memoryview(bytearray(64))
        assert await peer.transport.receive_into(buffer) == 7
        assert peer.asked == 0


async def test_a_client_that_sends_no_more_is_still_there(
    lookout: Lookout, autojump_clock: trio.testing.MockClock
) -> None:
    with Peer(lookout) as peer:
        peer.client.shutdown(socket.SHUT_WR)
        assert await peer.transport.receive_into(memoryview(bytearray(64))) == 0
        assert not peer.transport.has_left()
        peer.transport.send_now(memoryview(b"reply"))
        assert peer.client.recv(64) == b"reply"
        autojump_clock.jump(SHUT_PATIENCE + 1)
        assert peer.transport.has_left(), "in the end it is taken for one that is gone"


async def test_a_client_that_is_gone_has_left(lookout: Lookout) -> None:
    with Peer(lookout) as peer:
        peer.transport.send_now(memoryview(b"a reply that nobody reads"))
        assert not peer.transport.has_left()
        peer.client.close()
        while not peer.transport.has_left():
            await trio.lowlevel.checkpoint()

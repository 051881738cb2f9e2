"""Streams with a time to live: when they go, and that a restart forgets none."""

import pytest

from racs_server.errors import RequestError, StreamError
from racs_server.storage import FileSystem, Store
from tests.storage.helpers import MONO, Clock, archived, noise, read, send, start
from tests.storage.simulated import Fault, SimulatedDisk


def mortal(seconds: int = 60, fs: FileSystem | None = None) -> tuple[Store, Clock]:
    clock = Clock()
    store = start(fs, clock)
    store.create("a", MONO)
    store.expire("a", seconds)
    return store, clock


def test_a_stream_lives_for_ever_unless_it_is_told() -> None:
    clock = Clock()
    store = start(clock=clock)
    store.create("a", MONO)
    assert store.seconds_left("a") == -1
    clock.turn(10**9)
    assert store.delete_expired() == []


def test_it_is_counted_from_creation_while_there_is_no_audio() -> None:
    store, clock = mortal()
    clock.turn(59.5)
    assert store.seconds_left("a") == 1
    assert store.delete_expired() == []
    clock.turn(0.5)
    assert store.seconds_left("a") == 0
    assert store.delete_expired() == ["a"]
    with pytest.raises(StreamError, match="there is no stream 'a'"):
        store.seconds_left("a")
    store.create("a", MONO)
    assert store.seconds_left("a") == -1
    clock.turn(1000)
    assert store.delete_expired() == []


def test_it_is_counted_from_the_last_append() -> None:
    store, clock = mortal()
    store.open_stream("a")
    clock.turn(40)
    send(store, "a", noise(20))
    clock.turn(40)
    assert store.seconds_left("a") == 20
    send(store, "a", noise(20))
    store.close_stream("a")
    assert store.seconds_left("a") == 60
    clock.turn(59)
    assert store.delete_expired() == []
    clock.turn(1)
    assert store.delete_expired() == ["a"]


def test_an_open_stream_is_not_deleted() -> None:
    store, clock = mortal(0)
    store.open_stream("a")
    send(store, "a", noise(20))
    clock.turn(1000)
    assert store.delete_expired() == []
    assert store.seconds_left("a") == 0
    store.close_stream("a")
    assert store.delete_expired() == ["a"]


def test_it_can_be_taken_back() -> None:
    store, clock = mortal()
    store.expire("a", -1)
    clock.turn(1000)
    assert store.delete_expired() == []


@pytest.mark.parametrize("seconds", [-2, 2**40 + 1, -(2**63)])
def test_absurd_times_are_refused(seconds: int) -> None:
    store, _ = mortal()
    with pytest.raises(RequestError, match=f"{seconds} seconds"):
        store.expire("a", seconds)
    assert store.seconds_left("a") == 60


def test_no_such_stream() -> None:
    store, _ = mortal()
    with pytest.raises(StreamError, match="there is no stream 'b'"):
        store.expire("b", 1)
    with pytest.raises(StreamError, match="there is no stream 'b'"):
        store.seconds_left("b")


@pytest.mark.parametrize("end", ["stop", "kill", "power cut", "lost catalogue"])
def test_a_restart_forgets_nothing(end: str) -> None:
    disk = SimulatedDisk()
    store, clock = mortal(fs=disk)
    clock.turn(30)
    archived(store, "a", noise(20))
    store.create("b", MONO)
    store.expire("b", 5)
    store.expire("b", 100)
    store.upkeep.flush()
    if end == "stop":
        store.close()
    elif end == "kill":
        disk.kill()
    elif end == "power cut":
        store.upkeep.sync()
        disk.crash(keep="none")
    else:
        store.close()
        disk.remove("catalog.sqlite")
        disk.crash(keep="all")
    store = start(disk, clock)
    assert (store.seconds_left("a"), store.seconds_left("b")) == (60, 100)
    clock.turn(60)
    assert store.delete_expired() == ["a"]
    assert len(store.ids()) == 1


def test_a_time_to_live_of_an_open_stream_survives_a_kill() -> None:
    disk = SimulatedDisk()
    store, clock = mortal(fs=disk)
    store.open_stream("a")
    clock.turn(50)
    send(store, "a", pcm := noise(20))
    disk.kill()
    store = start(disk, clock)
    assert store.seconds_left("a") == 60
    assert read(store, "a") == pcm


def test_one_that_the_disk_will_not_delete_is_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    disk = SimulatedDisk()
    store, clock = mortal(fs=disk)
    archived(store, "a", b"ab")
    clock.turn(60)
    disk.faults.append(Fault("rename"))
    assert store.delete_expired() == []
    assert "cannot be deleted" in caplog.text
    assert store.delete_expired() == ["a"]

"""A power cut while streams are settled: what is stored of them, and who tells a recovery of it.

A ``stream.json`` may know more than the catalogue only where a recovery will look at it: the log
has a record of the stream on the medium, or the catalogue has forgotten the stream.
"""

from contextlib import suppress

import pytest

from racs_server.errors import StorageError
from racs_server.storage import Store
from tests.storage.helpers import (
    ALICE,
    BOB,
    MONO,
    archived,
    frame,
    make_open,
    noise,
    read,
    send,
    start,
)
from tests.storage.simulated import Fault, Halted, SimulatedDisk


def settle(store: Store, action: str) -> None:
    """Let what describes stream `a` be stored."""
    if action == "attach":
        store.attach("a", "notes", b"x")
    elif action == "close":
        store.close_stream("a")
    else:
        store.upkeep.checkpoint()


def sent_before_a_power_cut(action: str, after: int, keep: str, failure: str | None) -> bool:
    """Cut the power at an operation of a settling; return whether it ended before.

    Behind a checkpoint, a stream has got audio that the log has not: it is not acknowledged yet,
    or the log has failed. All of it may be there or nothing, and what comes next is kept.
    """
    disk = SimulatedDisk()
    store = start(disk, log_bytes=300)
    store.create("a", MONO)
    archived(store, "a", noise(100))
    make_open(store, "b")
    store.upkeep.checkpoint()
    while not store.upkeep.needs_checkpoint:
        send(store, "b", noise(2))
    store.open_stream("a")
    store.append([frame("a", noise(60, 1), BOB)])
    if failure is not None:
        disk.faults.append(Fault(failure, "log/"))
        with pytest.raises(StorageError):
            store.upkeep.sync()
    disk.halt_in = after
    ended = False
    with suppress(Halted):
        settle(store, action)
        ended = True
    disk.crash(after, keep)
    store = start(disk)
    found = read(store, "a")
    assert found in (noise(100), noise(100) + noise(60, 1)), after
    assert len(found) == 160 or not ended or action == "attach"
    sessions = [(session.id, session.first) for session in store.sessions("a")]
    assert sessions == [(ALICE.hex(), 0), (BOB.hex(), 50)][: len(found) // 60], after
    store.open_stream("a")
    send(store, "a", noise(20, 2))
    store.make_durable("a")
    disk.crash(after, "none")
    assert read(start(disk), "a") == found + noise(20, 2), after
    return ended


@pytest.mark.parametrize("keep", ["none", "all", "any"])
@pytest.mark.parametrize("failure", [None, "write", "sync"])
@pytest.mark.parametrize("action", ["checkpoint", "close", "attach"])
def test_a_power_cut_while_a_stream_is_settled_of_whose_audio_the_log_does_not_tell(
    action: str, failure: str | None, keep: str
) -> None:
    after = 1
    while not sent_before_a_power_cut(action, after, keep, failure):
        after += 1
    assert after > 6


@pytest.mark.parametrize("keep", ["none", "all"])
def test_a_stream_whose_log_has_never_reached_the_medium_is_found_by_its_folder(keep: str) -> None:
    after, ended = 0, False
    while not ended:
        after += 1
        disk = SimulatedDisk()
        store = start(disk)
        store.create("a", MONO)
        archived(store, "a", noise(100))
        store.close()
        store = start(disk)
        store.open_stream("a")
        send(store, "a", noise(60, 1), BOB)
        disk.faults.append(Fault("sync", "log/"))
        disk.halt_in = after
        with suppress(Halted):
            store.upkeep.checkpoint()
            ended = True
        disk.crash(after, keep)
        assert read(start(disk), "a") in (noise(100), noise(100) + noise(60, 1)), after
    assert after > 6


def test_one_that_could_not_be_settled_is_found_by_its_folder_beside_one_that_was() -> None:
    disk = SimulatedDisk()
    store = start(disk)
    for stream_id in "ab":
        store.create(stream_id, MONO)
        archived(store, stream_id, noise(100))
    store.close()
    store = start(disk)
    for stream_id in "ab":
        store.open_stream(stream_id)
        send(store, stream_id, noise(60, 1))
    disk.faults.append(Fault("sync", "log/"))
    disk.faults.append(Fault("rename", "/b-"))
    with pytest.raises(StorageError):
        store.upkeep.checkpoint()
    disk.crash(keep="none")
    store = start(disk)
    assert read(store, "a") == noise(100) + noise(60, 1)
    assert read(store, "b")[:100] == noise(100)


def test_what_the_catalogue_was_to_forget_is_in_it_again_after_a_stop() -> None:
    disk = SimulatedDisk()
    store = start(disk)
    make_open(store, "a", "b")
    send(store, "a", noise(100))
    send(store, "b", noise(60, 1))
    disk.faults.append(Fault("sync", "log/"))
    disk.faults.append(Fault("rename", "/b-"))
    with pytest.raises(StorageError):
        store.upkeep.checkpoint()
    store.close()
    store = start(disk)
    assert store.report.clean
    assert (read(store, "a"), read(store, "b")) == (noise(100), noise(60, 1))

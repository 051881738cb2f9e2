"""The delay after wrong attempts: growing, bounded, forgotten, and one's own."""

import pytest

from racs_server.access import Delays
from racs_server.access.delays import FORGOTTEN_AFTER, LONGEST


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def delays(clock: Clock) -> Delays:
    return Delays(clock)


def test_it_grows_to_a_bound(delays: Delays) -> None:
    waits = []
    for _ in range(2000):
        delays.failed("10.0.0.1")
        waits.append(delays.wait("10.0.0.1"))
    assert waits[:8] == [0.25, 0.5, 1, 2, 4, 8, 16, LONGEST]
    assert set(waits[8:]) == {LONGEST}


def test_it_passes_with_time_and_is_nobody_elses(delays: Delays, clock: Clock) -> None:
    delays.failed("10.0.0.1")
    assert delays.wait("10.0.0.2") == 0
    clock.now += 0.2
    assert delays.wait("10.0.0.1") == pytest.approx(0.05)
    clock.now += 1
    assert delays.wait("10.0.0.1") == 0
    delays.failed("10.0.0.1")
    assert delays.wait("10.0.0.1") == 0.5
    clock.now += FORGOTTEN_AFTER + 1
    delays.failed("10.0.0.1")
    assert delays.wait("10.0.0.1") == 0.25


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("", "", True),
    ],
)
def test_what_is_one_address(delays: Delays, one: str, other: str, same: bool) -> None:
    delays.failed(one)
    assert (delays.wait(other) > 0) is same


def test_its_memory_is_bounded_and_the_latest_are_kept(delays: Delays) -> None:
    for number in range(10_000):
        delays.failed(f"10.0.{number >> 8}.{number & 255}")
    assert len(delays) == 4096
    assert delays.wait("10.0.0.0") == 0
    assert delays.wait(f"10.0.{9999 >> 8}.{9999 & 255}") > 0

"""How long somebody has to wait who was wrong before: longer each time.

Invariant: however many addresses there are, at most `_SIZE` are remembered; whoever has not been
wrong for longest is forgotten first.
"""

import ipaddress
from collections.abc import Callable

import msgspec

FIRST = 0.25
LONGEST = 30.0
FORGOTTEN_AFTER = 900.0
_SIZE = 4096


class _Record(msgspec.Struct):
    failures: int
    last: float
    free_at: float


class Delays:
    """The failures of each address, and what follows from them.

    After the n-th failure an address has to wait 0.25 s · 2^(n-1), at most 30 s; 15 minutes after
    its last one all are forgotten. An address of IPv6 stands for its /64, which is one customer's.

    Parameters
    ----------
    clock
        Returns seconds that only go forward.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        # in the order of the latest failure
        self._records: dict[str, _Record] = {}

    def __repr__(self) -> str:
        return f"<Delays of {len(self._records)} addresses>"

    def __len__(self) -> int:
        return len(self._records)

    def wait(self, address: str) -> float:
        """Return how many seconds have to pass before an attempt may be looked at."""
        record = self._records.get(_network(address))
        return 0.0 if record is None else max(0.0, record.free_at - self._clock())

    def failed(self, address: str) -> None:
        """Note that an attempt was wrong."""
        network, now = _network(address), self._clock()
        record = self._records.pop(network, None)
        if record is None or now - record.last > FORGOTTEN_AFTER:
            record = _Record(0, now, now)
        record.failures += 1
        record.last = now
        record.free_at = now + min(FIRST * 2.0 ** min(record.failures - 1, 32), LONGEST)
        if len(self._records) >= _SIZE:
            del self._records[next(iter(self._records))]
        self._records[network] = record


def _network(address: str) -> str:
    if ":" not in address:
        return address
    ip = ipaddress.IPv6Address(address.partition("%")[0])
    return str(ip.ipv4_mapped or ipaddress.IPv6Network((ip, 64), strict=False))

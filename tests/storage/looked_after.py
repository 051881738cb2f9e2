"""What the tests of looking after an archive share: archives, what is found, what is mended."""

from racs_server.storage import care
from racs_server.storage.checksums import BLOCK
from racs_server.storage.stream import folder_name
from tests.storage.helpers import (
    MONO,
    Clock,
    archived,
    noise,
    start,
)
from tests.storage.simulated import SimulatedDisk

HEADER = 1024
FIRST = f"{0:020d}"
PCM = noise(4 * BLOCK)
HALF = BLOCK // 2
"""Sample frames of a block, mono."""


def file_of(stream_id: str, end: str) -> str:
    return f"{folder_name(stream_id)}/{end}"


def archive(*ids: str) -> SimulatedDisk:
    """Return the disk of a store that was stopped in order."""
    disk = SimulatedDisk()
    store = start(disk)
    for stream_id in ids or ("a",):
        store.create(stream_id, MONO)
        archived(store, stream_id, PCM)
    store.close()
    return disk


def findings(disk: SimulatedDisk, *, live: bool = False) -> list[care.Finding]:
    return list(care.verify(care.Survey(disk, live=live), care.Totals()))


def kinds(disk: SimulatedDisk) -> list[str]:
    return [finding.kind for finding in findings(disk)]


def mend(disk: SimulatedDisk, *, dry_run: bool = False) -> list[str]:
    steps = care.repair(disk, Clock(), care.Totals(), dry_run=dry_run)
    return [step.text for step in steps]


def lost(disk: SimulatedDisk) -> dict[str, bytes]:
    return {name: data for name, data in disk.contents().items() if name.startswith("lost/")}


def new_findings(disk: SimulatedDisk) -> list[care.Finding]:
    return [finding for finding in findings(disk) if not finding.known]


def rotten_audio(disk: SimulatedDisk) -> None:
    disk.flip(file_of("a", f"{FIRST}.wav"), HEADER + BLOCK + 1000)

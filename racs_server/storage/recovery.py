"""Start-up: after a clean stop the catalogue is right; after a crash the log tells what to mend.

A clean stop leaves no log file. Otherwise the folders' names are compared with the catalogue (see
`folders`), and the log is read from the last checkpoint on (see `replay`): the work is in
proportion to what was dirty, not to what is archived.

Invariants
----------
- Recovery ends with everything settled, so that a second one finds nothing to do.
- Nothing that was acknowledged is removed. What cannot be explained is moved to ``lost``.
- A stream is deleted where the log says so, and where its folder is in ``trash``. An id is given to
  a new stream only after both are on the medium (see `Store.delete`): so where the log has a later
  stream of a deleted one's id, the folder is that one's.
"""

import logging

import msgspec

from racs_server.storage.catalog import Catalog
from racs_server.storage.folders import compare_folders, move_unexplained, sync_folders
from racs_server.storage.fs import FileSystem
from racs_server.storage.handles import Handles
from racs_server.storage.log import FOLDER as LOG
from racs_server.storage.log import LogReader
from racs_server.storage.records import Deleted
from racs_server.storage.replay import Replay
from racs_server.storage.report import RecoveryReport
from racs_server.storage.settle import Settler
from racs_server.storage.stream import TRASH, Stream

logger = logging.getLogger(__name__)


class Recovered(msgspec.Struct):
    """The outcome: all streams, the report, and the numbers that are taken.

    Attributes
    ----------
    last_serial
        No serial that is found anywhere, be it of a deleted stream, is larger.
    next_sequence
        The number for the next log file.
    """

    streams: list[Stream]
    last_serial: int
    report: RecoveryReport
    next_sequence: int


def recover(fs: FileSystem, catalog: Catalog, handles: Handles, settler: Settler) -> Recovered:
    """Bring a data folder into order, and return what is in it.

    Raises
    ------
    StorageError
        What was found could not be settled; nothing has been thrown away.
    """
    for folder in (TRASH, LOG):
        fs.make_folder(folder)
    fs.sync_folder("")
    reader = LogReader(fs)
    streams = {stream.serial: stream for stream in catalog.load()}
    deleted = {int(name) for name in fs.list(TRASH) if name.isdecimal()}
    in_order = not reader.files and catalog.replaced is None and not deleted & streams.keys()
    report = RecoveryReport(clean=in_order)
    if not report.clean:
        if catalog.replaced is not None:
            report.notes.append(f"the catalogue was made anew ({catalog.replaced})")
        # Until all is settled the log is relied on; a kill left it where a power cut can take it.
        reader.sync()
        known = set(streams)
        deleted |= {record.serial for record in reader if isinstance(record, Deleted)}
        for serial in deleted & known:
            del streams[serial]
        is_known = catalog.replaced is None
        compare_folders(fs, streams, deleted, report, is_known=is_known)
        replay = Replay(fs, handles, streams, deleted, report)
        for record in reader:
            report.records += 1
            replay.apply(record)
        if reader.torn is not None and reader.dropped_bytes:
            report.notes.append(f"the log was torn: {reader.torn}")
        changed = replay.finish()
        if changed:
            logger.info("recovery: %d streams are brought into order", len(changed))
        failed = settler.settle_all(changed)
        if failed:
            raise next(iter(failed.values()))
        move_unexplained(fs, streams, deleted, report)
        added = [stream for serial, stream in streams.items() if serial not in known]
        sync_folders(fs, added)
        catalog.apply({*changed, *added}, known - set(streams))
        for name in reader.files:
            fs.remove(name)
            # One by one: a later file may say that a stream of an earlier one is deleted. And all
            # before the trash is emptied, which may be all that says so.
            fs.sync_folder(LOG)
    for name in fs.list(TRASH):
        fs.remove_tree(f"{TRASH}/{name}")
    fs.sync_folder(TRASH)
    report.streams = len(streams)
    last_serial = max(deleted | streams.keys(), default=0)
    return Recovered(list(streams.values()), last_serial, report, reader.next_sequence)

"""The store: streams of timestamped PCM in ordinary WAV files, made safe by one commit log.

The way of appended audio: `store` takes it, `segment` writes it behind what the stream has, `log`
records it; then it is acknowledged. `settle` makes it durable, `recovery` finds it again after a
crash. Only `fs` touches files. Plain synchronous code: no event loop is needed or known here.
"""

from racs_server.storage.attachments import MAX_ATTACHMENT
from racs_server.storage.core import Durability, StoreOptions
from racs_server.storage.fs import Disk, File, FileSystem
from racs_server.storage.report import RecoveryReport
from racs_server.storage.store import Store

__all__ = [
    "MAX_ATTACHMENT",
    "Disk",
    "Durability",
    "File",
    "FileSystem",
    "RecoveryReport",
    "Store",
    "StoreOptions",
]

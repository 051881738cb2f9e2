"""Looking after an archive by its files: reading all of it, mending it, backing it up."""

from racs_server.storage.care.backup import BackupReport, back_up
from racs_server.storage.care.findings import Finding, Kind
from racs_server.storage.care.repair import Step, repair
from racs_server.storage.care.restore import RestoreReport, restore
from racs_server.storage.care.survey import Survey
from racs_server.storage.care.verify import Totals, verify

__all__ = [
    "BackupReport",
    "Finding",
    "Kind",
    "RestoreReport",
    "Step",
    "Survey",
    "Totals",
    "back_up",
    "repair",
    "restore",
    "verify",
]

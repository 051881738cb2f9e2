"""What a start has found, for the operator."""

import msgspec


class RecoveryReport(msgspec.Struct):
    """What a start has found.

    Attributes
    ----------
    clean
        Whether the last stop was in order: nothing had to be done.
    streams
        How many streams there are.
    records
        How many records of the log were read.
    kept_frames, dropped_frames
        Sample frames that only the log knew of and that were kept, or were not there any more.
    notes
        What was found otherwise, a sentence each.
    """

    clean: bool = True
    streams: int = 0
    records: int = 0
    kept_frames: int = 0
    dropped_frames: int = 0
    notes: list[str] = msgspec.field(default_factory=list)

    def __str__(self) -> str:
        if self.clean and not self.notes:
            return "stopped in order, nothing to recover"
        parts = [f"recovered {self.kept_frames} sample frames from {self.records} log records"]
        if self.dropped_frames:
            parts.append(f"dropped {self.dropped_frames} that were not on the disk any more")
        return "; ".join([*parts, *self.notes])

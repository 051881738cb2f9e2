"""The streams' waveform files, in the store: see `racs_server.storage.waveform`."""

from functools import partial

from racs_server.storage.core import Core
from racs_server.storage.waveform import Waveform
from racs_server.values import StreamRange


class Picturing(Core):
    """The part of the store that keeps waveforms."""

    def waveform(self, plan: StreamRange, block: int) -> Waveform:
        """Return the waveform file of a plan's stream, with blocks of so many bytes."""
        return Waveform(self._fs, self._lock, partial(self._find_same, plan), block)

    def note_growth(self, plan: StreamRange) -> None:
        """Let `grown` tell of a plan's stream, whose waveform is wanted."""
        with self._lock:
            self._settler.grown.add(self._find_same(plan))

    def grown(self) -> list[StreamRange]:
        """Return, all as plans, the streams whose settled audio has grown since this was asked."""
        with self._lock:
            streams = sorted(self._settler.grown, key=lambda stream: stream.serial)
            self._settler.grown.clear()
            return [
                StreamRange(stream.id, stream.serial, 0, stream.settled_frames, stream.format)
                for stream in streams
                if not stream.deleted
            ]

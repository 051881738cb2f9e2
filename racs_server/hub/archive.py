"""What goes into a run and comes out of it, put into the archive: see `racs.runs`. It all blocks.

Invariants
----------
- A stream of a run is whole: what a crash has left of one is made anew.
- What cannot be archived is told in the record, by `RunFile.problem`; the run itself never fails by
  it.
"""

import hashlib
import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from racs.runs import RECORD_FORMAT, RECORD_NAME, RunFile, RunRecord, encode, input_id, output_id
from racs.runs import record_id as id_of_record
from racs.runs.naming import part
from racs.runs.sound import Sound
from racs_server.audio import pcm
from racs_server.errors import RacsError, RequestError, StreamError
from racs_server.hub.contract import FILE_PATH, Excerpt
from racs_server.hub.conversion import convert
from racs_server.hub.files import Files, safe_name
from racs_server.hub.rows import Run, Target
from racs_server.hub.rows import Upload as UploadRow
from racs_server.storage import MAX_ATTACHMENT, Store
from racs_server.values import NS_PER_S, AudioFormat, StreamRange, format_instant

logger = logging.getLogger(__name__)

_replace = msgspec.structs.replace
Floats = npt.NDArray[np.float64]


class Archive:
    """Archives runs.

    Parameters
    ----------
    store
        The streams.
    files
        The hub's files.
    """

    def __init__(self, store: Store, files: Files) -> None:
        self._store = store
        self._files = files

    def __repr__(self) -> str:
        return f"<Archive of runs in {self._store!r}>"

    def take_upload(
        self, run: Run, number: int, parameter: str, upload: UploadRow, target: Target
    ) -> tuple[RunFile, str]:
        """Archive an uploaded input, and convert it for the rune.

        Returns
        -------
        The file, and the path of what the rune gets.

        Raises
        ------
        RequestError
            It is gone.
        """
        path = self._files.upload_path(upload.id)
        if path is None:
            raise RequestError(f"{parameter}: the uploaded file {upload.name!r} is not there")
        file = RunFile(
            number=number,
            name=upload.name,
            parameter=parameter,
            bytes=upload.bytes,
            sha256=upload.sha256,
        )
        try:
            sound = Sound(path)
        except ValueError:
            suffix = safe_name(Path(upload.name).suffix.lower(), "x").removesuffix(".x")
            copy = self._place(run, upload.name, suffix if Path(upload.name).suffix else "bin")
            shutil.copyfile(path, copy)
            return self._attach(run, f"in-{part(parameter)}", path, file), str(copy)
        with sound:
            rate, channels = sound.sample_rate, sound.channels
        file = self._keep_sound(input_id(run.rune, run.id, parameter), path, file)

        def read() -> Iterator[Floats]:
            with Sound(path) as again:
                yield from again.floats()

        return self._convert(run, file, read, (rate, channels), target)

    def take_excerpt(
        self, run: Run, number: int, parameter: str, excerpt: Excerpt, target: Target
    ) -> tuple[RunFile, str]:
        """Archive a part of a stream as an input, and convert it for the rune; as above."""
        stop = self._store.info(excerpt.stream).frames if excerpt.stop is None else excerpt.stop
        plan = self._store.plan(excerpt.stream, excerpt.start, stop)
        stream_id = input_id(run.rune, run.id, parameter)
        digest = hashlib.sha256()
        size = 0

        def pieces() -> Iterator[memoryview]:
            nonlocal size
            for piece in self._store.read(plan):
                digest.update(piece)
                size += len(piece)
                yield piece

        self._fill(stream_id, plan.format, pieces())
        file = RunFile(
            number=number,
            name=excerpt.stream,
            type="audio",
            parameter=parameter,
            bytes=size,
            sha256=digest.hexdigest(),
            stream=stream_id,
        )
        format_ = (plan.format.sample_rate, plan.format.channels)
        return self._convert(run, file, lambda: self._floats(plan), format_, target)

    def _convert(
        self,
        run: Run,
        file: RunFile,
        read: Callable[[], Iterator[Floats]],
        format_: tuple[int, int],
        target: Target,
    ) -> tuple[RunFile, str]:
        path = self._place(run, file.name, target.format)
        gain = convert(read, *format_, target, path)
        return _replace(file, type="audio", gain=gain), str(path)

    def _place(self, run: Run, name: str, suffix: str) -> Path:
        folder = self._files.make_run_folder(run.id)
        return folder / safe_name(name, suffix, (each.name for each in folder.iterdir()))

    def _floats(self, plan: StreamRange) -> Iterator[Floats]:
        scale = float(1 << plan.format.bit_depth - 1)
        for piece in self._store.read(plan):
            yield pcm.unpack(piece, plan.format.bit_depth) / scale

    def finish(self, run: Run) -> Run:
        """Archive a run's outputs and its record; returns it with where its files are."""
        outputs = tuple(
            self._output(run, file, upload_id)
            for file, upload_id in zip(run.outputs, run.files, strict=True)
        )
        run = _replace(run, outputs=outputs, archived=True)
        self._record_stream(run)
        self._store.attach(id_of_record(run.rune, run.id), RECORD_NAME, encode(record_of(run)))
        return run

    def _output(self, run: Run, file: RunFile, upload_id: str) -> RunFile:
        path = self._files.upload_path(upload_id)
        if path is None or file.stream or file.attachment:
            return file
        try:
            try:
                stream_id = output_id(run.rune, run.id, file.number, file.name)
                return self._keep_sound(stream_id, path, file)
            except ValueError:
                return self._attach(run, f"{file.number:03}-{part(file.name)}", path, file)
        except RacsError as error:
            logger.error("run %s: %r is not archived: %s", run.id, file.name, error)
            return _replace(file, problem=f"it is not archived: {error}")

    def _keep_sound(self, stream_id: str, path: Path, file: RunFile) -> RunFile:
        """Make a stream of an audio file; `ValueError` if it is none."""
        with Sound(path) as sound:
            format_ = AudioFormat(sound.sample_rate, sound.channels, sound.bit_depth)
            blocks = (pcm.pack(block, sound.bit_depth) for block in sound.blocks())
            self._fill(stream_id, format_, blocks)
            exact = sound.exact
        file = _replace(file, type="audio", stream=stream_id)
        return file if exact else self._attach_to(stream_id, part(file.name), path, file)

    def _fill(self, stream_id: str, format_: AudioFormat, blocks: Iterator[memoryview]) -> None:
        self._create(stream_id, format_)
        self._store.open_stream(stream_id)
        try:
            self._store.feed(stream_id, blocks)
        finally:
            self._store.close_stream(stream_id)

    def _create(self, stream_id: str, format_: AudioFormat) -> None:
        """Make a stream, in the place of what a crash has left of it."""
        try:
            self._store.create(stream_id, format_)
        except StreamError:
            if self._store.info(stream_id).is_open:
                self._store.close_stream(stream_id)
            self._store.delete(stream_id)
            self._store.create(stream_id, format_)

    def _record_stream(self, run: Run) -> str:
        stream_id = id_of_record(run.rune, run.id)
        try:
            self._store.info(stream_id)
        except StreamError:
            self._store.create(stream_id, AudioFormat(*RECORD_FORMAT))
        return stream_id

    def _attach(self, run: Run, name: str, path: Path, file: RunFile) -> RunFile:
        return self._attach_to(self._record_stream(run), name, path, file)

    def _attach_to(self, stream_id: str, name: str, path: Path, file: RunFile) -> RunFile:
        if path.stat().st_size > MAX_ATTACHMENT:
            limit = f"{MAX_ATTACHMENT >> 20} MiB"
            return _replace(file, problem=f"its bytes are not archived: more than {limit}")
        self._store.attach(stream_id, name, path.read_bytes())
        return _replace(file, attachment=name)


def record_of(run: Run) -> RunRecord:
    """Return what the archive tells of a run."""
    given: dict[str, dict[str, Any]] = run.request["data"]["params"]
    names = {file.parameter: file.name for file in run.inputs}
    return RunRecord(
        rune=run.rune,
        run=run.id,
        method=run.method,
        status=run.state,
        started=instant_of(run.started),
        ended=instant_of(run.ended),
        parameters={
            name: {**each, "value": names.get(name)} if each["type"] == FILE_PATH else each
            for name, each in given.items()
        },
        inputs=run.inputs,
        outputs=run.outputs,
        message=run.message,
        error=run.error,
        logs=run.all_logs,
    )


def instant_of(seconds: float) -> str:
    """Return a time as RFC 3339 in UTC; "" for none."""
    return format_instant(round(seconds * 1000) * (NS_PER_S // 1000)) if seconds else ""

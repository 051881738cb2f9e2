"""Making files with the encoders, and reading them with programs that have nothing of this one."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from racs_server.audio.codecs import CODECS, Streamed
from racs_server.values import AudioFormat, Tags

TAGS = Tags("birds/north 'ä'", 1_703_543_425_123_456_789)
"""Of a stream whose first sample frame sounded at 2023-12-25T22:30:25.123Z."""


def encoded(
    mime_type: str,
    format_: AudioFormat,
    blocks: Iterable[npt.NDArray[np.int32]],
    folder: Path,
    *,
    tags: Tags = TAGS,
    bit_rate: int | None = None,
) -> bytes:
    """Return a file of blocks of interleaved samples."""
    blocks = list(blocks)
    codec = CODECS.find(mime_type)
    codec.check(format_, bit_rate)
    frames = sum(block.size for block in blocks) // format_.channels
    wanted = codec.wanted(format_, frames, tags, bit_rate)
    way = codec.way
    if isinstance(way, Streamed):
        data = b"".join(way.pieces(wanted, iter(blocks)))
        assert len(data) == way.length(wanted)
        return data
    with (folder / "file").open("wb+") as file:
        encoder = way.begin(wanted, file)
        for block in blocks:
            encoder.write(block)
        encoder.finish()
        encoder.abandon()
    data = (folder / "file").read_bytes()
    assert len(data) <= way.most_bytes(wanted)
    return data


def program(name: str) -> str:
    """Return the path of a program; without it the test is skipped, but in CI it fails."""
    path = shutil.which(name)
    if path is None:
        message = f"{name} is not installed: apt-get install ffmpeg sox"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return path


def ffmpeg(path: Path, channels: int, *before: str) -> npt.NDArray[np.float32]:
    """Return what ffmpeg decodes: shape (frames, channels), -1 to 1."""
    command = [program("ffmpeg"), "-v", "error", *before, "-i", str(path), "-f", "f32le", "-"]
    found = subprocess.run(command, capture_output=True, check=True, timeout=60)
    assert found.stderr == b""
    return np.frombuffer(found.stdout, "<f4").reshape(-1, channels)


def ffprobe(path: Path) -> dict[str, Any]:
    """Return what ffprobe tells of a file: its one stream, with duration and tags."""
    show = ["-show_entries", "format=duration:format_tags:stream:stream_tags", "-of", "json"]
    command = [program("ffprobe"), "-v", "error", *show, str(path)]
    found = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)
    [stream] = found["streams"]
    tags = {**found["format"].get("tags", {}), **stream.get("tags", {})}
    stream["tags"] = {name.lower(): text for name, text in tags.items()}
    stream["duration"] = float(found["format"].get("duration", 0))
    return dict(stream)


def sox_frames(path: Path, kind: str) -> int:
    """Return how many sample frames sox decodes of a file."""
    command = [program("sox"), "-t", kind, str(path), "-t", "s32", "-"]
    found = subprocess.run(command, capture_output=True, check=True, timeout=60)
    return len(found.stdout) // 4

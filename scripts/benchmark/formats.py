"""Rows: audio as files, against the bare encoder in one thread on the same core."""

import io
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import soundfile

from racs.wire import encode_command
from racs.wire.replies import ReplyError, decode_reply
from racs_server.audio.codecs.mp3 import QUALITY
from racs_server.audio.codecs.opus import COMPLEXITY, PACKET
from scripts.benchmark.extract import archive, music
from scripts.benchmark.load import Count, connect, receive_reply, together
from scripts.benchmark.rows import Bench, Measure, NotAvailableError, Row

_RATE = 44100
_WRITE = 65_536
Samples = np.ndarray


def _whole(format_: str, subtype: str, samples: Samples, rate: int = _RATE) -> bytes:
    """Return a file as libsndfile makes it."""
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", rate, 2, subtype, format=format_) as sound:
        for start in range(0, len(samples), _WRITE):
            sound.write(samples[start : start + _WRITE])
    return file.getvalue()


def _mp3(samples: Samples) -> bytes:
    import lameenc

    encoder = lameenc.Encoder()
    encoder.set_bit_rate(192)
    encoder.set_in_sample_rate(_RATE)
    encoder.set_channels(2)
    encoder.set_quality(QUALITY)
    encoder.silence()
    return bytes(encoder.encode(samples.tobytes()) + encoder.flush())


def _opus(samples: Samples) -> bytes:
    import opuslib_next
    import soxr

    encoder = opuslib_next.Encoder(48000, 2, opuslib_next.APPLICATION_AUDIO)
    encoder.bitrate = 128_000
    encoder.complexity = COMPLEXITY
    resampled = soxr.resample(samples.astype(np.float32) / 32768, _RATE, 48000)
    places = range(0, len(resampled) - PACKET, PACKET)
    packets = (resampled[at : at + PACKET].tobytes() for at in places)
    return b"".join(encoder.encode_float(packet, PACKET) for packet in packets)


def _faded(samples: Samples) -> Samples:
    """Return audio with a gain of 0.8, faded in and out for a second."""
    factor = np.full((len(samples), 1), 0.8)
    ramp = np.linspace(0, 1, _RATE, endpoint=False)[:, None]
    factor[:_RATE] *= ramp
    factor[-_RATE:] *= ramp[::-1]
    faded: Samples = np.clip(np.rint(samples * factor), -32768, 32767).astype(np.int16)
    return faded


def _encode(encoder: Callable[[Samples], bytes], seconds: int) -> Count:
    samples = music(seconds)
    began = time.perf_counter()
    encoder(samples)
    return Count(1, 1, [time.perf_counter() - began])


def _ask(port: int, text: str) -> Count:
    with connect(port) as client:
        began = time.perf_counter()
        client.sendall(encode_command(text))
        reply = receive_reply(client)
        took = time.perf_counter() - began
        if len(reply) < 1000:
            decode_reply(reply)
        return Count(1, 1, [took])


def _served(text: str, seconds: int) -> Measure:
    def measure(bench: Bench) -> float:
        server = bench.server()
        stream_id = f"music {seconds} s"
        if bench.notes.setdefault(stream_id, 0) == 0:
            archive(server.port, stream_id, seconds)
            bench.notes[stream_id] = 1
        command = f"RANGE '{stream_id}' 0.0 {float(seconds)} |> {text}"
        try:
            [count] = together([partial(_ask, server.port, command)], bench.load_cores)
        except ReplyError as error:
            raise NotAvailableError(str(error)) from None
        return 1000 * count.times[0]

    return measure


def _bare(encoder: Callable[[Samples], bytes], seconds: int) -> Measure:
    def measure(bench: Bench) -> float:
        try:
            [count] = together([partial(_encode, encoder, seconds)], bench.server_cores)
        except ImportError as error:
            raise NotAvailableError(str(error)) from None
        return 1000 * count.times[0]

    return measure


_WAV = partial(_whole, "WAV", "PCM_16")
_FLAC = partial(_whole, "FLAC", "PCM_16")


def _row(what: str, text: str, encoder: Callable[[Samples], bytes], peer: float | None) -> Row:
    return Row(what, "ms", _served(text, 60), _bare(encoder, 60), peer, quick=True, rounds=3)


ROWS = [
    _row("60 s to WAV", "FORMAT 'audio/wav' 44100 2 16", _WAV, 71),
    _row("60 s to FLAC", "FORMAT 'audio/flac' 44100 2 16", _FLAC, None),
    _row("60 s to MP3", "FORMAT 'audio/mpeg' 44100 2 16", _mp3, 391),
    _row("60 s to Opus", "FORMAT 'audio/opus' 48000 2 16", _opus, 699),
    Row(
        "10 min: GAIN |> FADE |> ENCODE to FLAC",
        "ms",
        _served("GAIN 0.8 |> FADE 1.0 1.0 |> ENCODE 'audio/flac'", 600),
        _bare(lambda samples: _FLAC(_faded(samples)), 600),
        rounds=3,
    ),
]

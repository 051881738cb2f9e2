"""The commands of a pipeline that take audio out and do something to it.

Owns what their arguments are called and what they may be. Seconds, factors and positions are ints
or floats; the server takes a float for the decimal number that Python writes it as: 0.1 s at
44,100 Hz are exactly 4,410 sample frames.
"""

from abc import ABC, abstractmethod
from typing import Self

from racs.commands import checked_int, checked_number, checked_text


class AudioCommands(ABC):
    """Base of `racs.pipeline.Pipeline`; each method adds one command and returns the pipeline.

    What is processed keeps its format, but where a method changes it; results are rounded half to
    even, and saturate at what the bit depth can hold.
    """

    @abstractmethod
    def _add(self, name: str, *arguments: str | int | float) -> Self: ...

    def range(self, stream_id: str, start: float, duration: float) -> Self:
        """Get the audio of a stretch of a stream, in seconds from its first sample frame.

        The result is like that of `extract`. Adjoining ranges join without gap or overlap.

        Parameters
        ----------
        stream_id
            Which stream.
        start
            Seconds after its first sample frame.
        duration
            Seconds, 0 or more.
        """
        return self._range("RANGE", stream_id, start, duration)

    def mix(self, stream_id: str, start: float, duration: float) -> Self:
        """Add a range of a stream of the same format; sums saturate.

        Takes what `range` takes. The shorter of the two is followed by silence.
        """
        return self._range("MIX", stream_id, start, duration)

    def merge(self, stream_id: str, start: float, duration: float) -> Self:
        """Make stereo of mono audio (left) and a range of a mono stream (right).

        Takes what `range` takes. The shorter of the two is followed by silence.
        """
        return self._range("MERGE", stream_id, start, duration)

    def gain(self, gain: float) -> Self:
        """Multiply the samples by a factor."""
        return self._add("GAIN", checked_number(gain, "gain"))

    def trim(self, left: float, right: float) -> Self:
        """Remove seconds from the start and from the end."""
        return self._add("TRIM", checked_number(left, "left"), checked_number(right, "right"))

    def pad(self, left: float, right: float) -> Self:
        """Add seconds of silence before and after."""
        return self._add("PAD", checked_number(left, "left"), checked_number(right, "right"))

    def fade(self, in_sec: float, out_sec: float) -> Self:
        """Fade in and out linearly, over numbers of seconds."""
        return self._add(
            "FADE", checked_number(in_sec, "in_sec"), checked_number(out_sec, "out_sec")
        )

    def pan(self, pan: float) -> Self:
        """Move stereo audio, from -1 (left) to 1: scales the other channel by 1 - abs(pan)."""
        return self._add("PAN", checked_number(pan, "pan"))

    def clip(self, min_val: int, max_val: int) -> Self:
        """Hold the samples between two values."""
        return self._add("CLIP", checked_int(min_val, "min_val"), checked_int(max_val, "max_val"))

    def split(self, channel: int) -> Self:
        """Take one channel, counted from 0."""
        return self._add("SPLIT", checked_int(channel, "channel"))

    def normalize(self, lufs: float, ceiling: float = -1.0) -> Self:
        """Bring the integrated loudness of the audio to a value, unless it would peak too high.

        Silence stays as it is.

        Parameters
        ----------
        lufs
            The loudness, in LUFS: -23 for broadcasting in Europe, -14 ... -16 for music players.
        ceiling
            The greatest true peak to allow, in dBTP.
        """
        return self._add(
            "NORMALIZE", checked_number(lufs, "lufs"), checked_number(ceiling, "ceiling")
        )

    def peaks(self, points: int) -> Self:
        """Draw the waveform of the audio that the command before gives.

        The result is a float32 array of points x channels x 3 values, which ``reshape(-1,
        channels, 3)`` gives that shape: the least sample, the greatest and the RMS of each point
        and channel, full scale being 1. Of a range of a stream it takes milliseconds, however long.

        Parameters
        ----------
        points
            How many to draw, 1 ... 65,536.
        """
        return self._add("PEAKS", checked_int(points, "points"))

    def shape(self) -> Self:
        """Ask what the audio is like that the command before gives; none of it is read.

        The result is a list of four ints: sample rate (Hz), channels, bit depth and length in
        sample frames.
        """
        return self._add("SHAPE")

    def loudness(self) -> Self:
        """Measure the audio that the command before gives.

        The result is a list of four floats: integrated loudness (LUFS), loudness range (LU),
        sample peak (dBFS) and true peak (dBTP); minus infinity for silence, its range 0.
        """
        return self._add("LOUDNESS")

    def resample(self, sample_rate: int) -> Self:
        """Change the sample rate, in Hz; silence lies before and after the audio."""
        return self._add("RESAMPLE", checked_int(sample_rate, "sample_rate"))

    def remix(self, channels: int) -> Self:
        """Change the number of channels, without overload."""
        return self._add("REMIX", checked_int(channels, "channels"))

    def depth(self, bit_depth: int, seed: int | None = 0) -> Self:
        """Change the bit depth.

        Parameters
        ----------
        bit_depth
            16 or 24.
        seed
            Of the dither that goes into fewer bits; equal seeds give equal samples. None: no
            dither, samples are rounded half to even.
        """
        dither = "none" if seed is None else checked_int(seed, "seed")
        return self._add("DEPTH", checked_int(bit_depth, "bit_depth"), dither)

    def format(
        self,
        mime_type: str,
        sample_rate: int,
        channels: int,
        bit_depth: int,
        bit_rate: int | None = None,
    ) -> Self:
        """Convert and encode the audio that the command before gives; the result is bytes.

        Parameters
        ----------
        mime_type
            Such as ``audio/wav``, ``audio/flac``, ``audio/mp3``, ``audio/opus``.
        sample_rate
            Hz.
        channels
            How many the result has.
        bit_depth
            16 or 24.
        bit_rate
            Of lossy formats, in kbit/s; of Vorbis a quality, 0 to 10. `None`: the usual one.
        """
        return self._add(
            "FORMAT",
            checked_text(mime_type, "mime_type"),
            checked_int(sample_rate, "sample_rate"),
            checked_int(channels, "channels"),
            checked_int(bit_depth, "bit_depth"),
            *_given(bit_rate),
        )

    def encode(self, mime_type: str, bit_rate: int | None = None) -> Self:
        """Encode the audio that the command before gives, as it is; the result is bytes.

        Takes what `format` takes.
        """
        return self._add("ENCODE", checked_text(mime_type, "mime_type"), *_given(bit_rate))

    def _range(self, name: str, stream_id: str, start: float, duration: float) -> Self:
        return self._add(
            name,
            checked_text(stream_id, "stream_id"),
            checked_number(start, "start"),
            checked_number(duration, "duration"),
        )


def _given(bit_rate: object) -> tuple[int, ...]:
    return () if bit_rate is None else (checked_int(bit_rate, "bit_rate"),)

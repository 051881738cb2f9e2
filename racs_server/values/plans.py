"""Audio plans: trees that describe audio without holding any.

The leaves are ranges of streams, or the few samples that came with a request; every node above them
does one thing to what is below it. A plan can be kept, sent to another process (`encode_plan`,
`decode_plan`) and read there; whoever reads it gets exactly `frames` sample frames of `format`, or
an error. Nothing here reads audio.

Plans are made by `racs_server.values.building`, which checks them; the classes do not.

Invariants
----------
- `frames`, `format` and `nodes` follow from the plan alone.
- Whatever a node needs to know of time (where a fade ends, how much is cut off) it knows as a
  number of sample frames.
"""

from collections.abc import Iterator
from functools import cached_property

import msgspec

from racs_server.values.formats import AudioFormat
from racs_server.values.tags import Tags


class _Node(msgspec.Struct, frozen=True, tag=True, dict=True):
    """Base of all nodes."""

    @property
    def inputs(self) -> "tuple[AudioPlan, ...]":
        """The plans below this one."""
        return ()

    @cached_property
    def format(self) -> AudioFormat:
        """The format of what is read: that of the first input, unless the node changes it."""
        return self.inputs[0].format

    @cached_property
    def frames(self) -> int:
        """Exact length in sample frames: that of the first input, unless the node changes it."""
        return self.inputs[0].frames

    @property
    def samples(self) -> int:
        """Exact length in samples, all channels counted."""
        return self.frames * self.format.channels

    @cached_property
    def nodes(self) -> int:
        """How many nodes the tree has, this one included."""
        return 1 + sum(each.nodes for each in self.inputs)

    @cached_property
    def resampled_channels(self) -> int:
        """How many channels are resampled, over all nodes: each takes memory while it is read."""
        return sum(each.resampled_channels for each in self.inputs)

    def leaves(self) -> "Iterator[StreamRange]":
        """Yield the ranges of streams that are read, from the first input to the last."""
        for each in self.inputs:
            yield from each.leaves()


class _Change(_Node, frozen=True):
    """Base of the nodes that do something to one input.

    Attributes
    ----------
    source
        What it is done to.
    """

    source: "AudioPlan"

    @property
    def inputs(self) -> "tuple[AudioPlan, ...]":
        """The one plan below this one."""
        return (self.source,)


class _Join(_Node, frozen=True):
    """Base of the nodes that put two inputs of equal rate and depth together.

    Attributes
    ----------
    left, right
        What is put together; the shorter one is followed by silence.
    """

    left: "AudioPlan"
    right: "AudioPlan"

    @property
    def inputs(self) -> "tuple[AudioPlan, ...]":
        """The two plans below this one."""
        return (self.left, self.right)

    @cached_property
    def frames(self) -> int:
        """Exact length in sample frames: that of the longer input."""
        return max(self.left.frames, self.right.frames)


class _Leaf(msgspec.Struct, frozen=True):
    """Base of the nodes without others below them."""

    @property
    def nodes(self) -> int:
        """A leaf is one node."""
        return 1

    @property
    def resampled_channels(self) -> int:
        """A leaf is not resampled."""
        return 0

    @property
    def inputs(self) -> "tuple[AudioPlan, ...]":
        """A leaf has no plans below it."""
        return ()


class StreamRange(_Leaf, frozen=True, tag=True):
    """A range of a stream.

    Attributes
    ----------
    stream_id, serial
        Which stream, and that it is still the same one.
    start, stop
        First sample frame, and one past the last.
    format
        The format of what is read.
    """

    stream_id: str
    serial: int
    start: int
    stop: int
    format: AudioFormat

    @property
    def frames(self) -> int:
        """Exact length in sample frames."""
        return self.stop - self.start

    @property
    def samples(self) -> int:
        """Exact length in samples, all channels counted."""
        return self.frames * self.format.channels

    def leaves(self) -> "Iterator[StreamRange]":
        """Yield the leaf itself."""
        yield self


class Samples(_Leaf, frozen=True, tag=True):
    """Samples that came with a request: a leaf that holds its audio itself.

    Attributes
    ----------
    data
        Interleaved samples with their values, int32, little-endian; whole sample frames.
    format
        Their format, whose bit depth can hold them.
    """

    data: bytes
    format: AudioFormat

    @property
    def frames(self) -> int:
        """Exact length in sample frames."""
        return self.samples // self.format.channels

    @property
    def samples(self) -> int:
        """Exact length in samples, all channels counted."""
        return len(self.data) // 4

    def leaves(self) -> "Iterator[StreamRange]":
        """Yield nothing: no stream is read."""
        yield from ()


class Window(_Change, frozen=True):
    """Part of its source.

    Attributes
    ----------
    start, stop
        First sample frame of the source, and one past the last.
    """

    start: int
    stop: int

    @cached_property
    def frames(self) -> int:
        """Exact length in sample frames."""
        return self.stop - self.start


class Padded(_Change, frozen=True):
    """Its source between stretches of silence.

    Attributes
    ----------
    before, after
        Sample frames of silence.
    """

    before: int
    after: int

    @cached_property
    def frames(self) -> int:
        """Exact length in sample frames."""
        return self.before + self.source.frames + self.after


class Gained(_Change, frozen=True):
    """Its source times a factor.

    Attributes
    ----------
    factor
        Any finite number.
    """

    factor: float


class Faded(_Change, frozen=True):
    """Its source, linearly from silence at the start and to silence at the end.

    Attributes
    ----------
    rise, fall
        Sample frames n that it takes: frame i is multiplied by i / n, and at the end mirrored. Both
        may be longer than the source.
    """

    rise: int
    fall: int


class Panned(_Change, frozen=True):
    """Its stereo source with one side made softer.

    Attributes
    ----------
    position
        From -1 (only the left channel is left) over 0 (as it was) to 1.
    """

    position: float


class Clipped(_Change, frozen=True):
    """Its source with its samples held between bounds.

    Attributes
    ----------
    least, most
        The bounds, within what the bit depth can hold.
    """

    least: int
    most: int


class OneChannel(_Change, frozen=True):
    """One channel of its source.

    Attributes
    ----------
    channel
        Which, from 0.
    """

    channel: int

    @cached_property
    def format(self) -> AudioFormat:
        """The source's, but mono."""
        return msgspec.structs.replace(self.source.format, channels=1)


class Resampled(_Change, frozen=True):
    """Its source at another sample rate.

    Frame j is the source's audio at the time ``j / sample_rate``; outside the source is silence.

    Attributes
    ----------
    sample_rate
        In Hz.
    """

    sample_rate: int

    @cached_property
    def format(self) -> AudioFormat:
        """The source's, but for the rate."""
        return msgspec.structs.replace(self.source.format, sample_rate=self.sample_rate)

    @cached_property
    def frames(self) -> int:
        """Exact length: as many frames as begin before the source's end."""
        return -(-self.source.frames * self.sample_rate // self.source.format.sample_rate)

    @cached_property
    def resampled_channels(self) -> int:
        """The source's, and its own."""
        return self.source.resampled_channels + self.format.channels


class Remixed(_Change, frozen=True):
    """Its source for another number of loudspeakers.

    Attributes
    ----------
    channels
        How many.
    """

    channels: int

    @cached_property
    def format(self) -> AudioFormat:
        """The source's, but for the channels."""
        return msgspec.structs.replace(self.source.format, channels=self.channels)


class Requantized(_Change, frozen=True):
    """Its source at another bit depth.

    Attributes
    ----------
    bit_depth
        Bits of a sample.
    seed
        Where the random numbers of the dither begin, or None: there is no dither.
    """

    bit_depth: int
    seed: int | None

    @cached_property
    def format(self) -> AudioFormat:
        """The source's, but for the bit depth."""
        return msgspec.structs.replace(self.source.format, bit_depth=self.bit_depth)


class Mixed(_Join, frozen=True):
    """The sum of two inputs of the same format."""


class Merged(_Join, frozen=True):
    """Two mono inputs as the left and the right channel of one."""

    @cached_property
    def format(self) -> AudioFormat:
        """The inputs', but stereo."""
        return msgspec.structs.replace(self.left.format, channels=2)


AudioPlan = (
    StreamRange
    | Samples
    | Window
    | Padded
    | Gained
    | Faded
    | Panned
    | Clipped
    | OneChannel
    | Resampled
    | Remixed
    | Requantized
    | Mixed
    | Merged
)
"""Any plan."""


class EncodedPlan(msgspec.Struct, frozen=True):
    """A file to be made of a plan's audio: a description, like the plan.

    Attributes
    ----------
    plan
        The audio.
    mime_type
        The file's format, by its canonical name.
    bit_rate
        In kbit/s, or what that format has in its place; None: the usual one.
    tags
        What the file is to tell of the audio.
    """

    plan: AudioPlan
    mime_type: str
    bit_rate: int | None = None
    tags: Tags = Tags()


def encode_plan(plan: AudioPlan | EncodedPlan) -> bytes:
    """Return a plan as bytes (msgpack), from which `decode_plan` makes an equal one."""
    return msgspec.msgpack.encode(plan)


def decode_plan(data: bytes) -> AudioPlan:
    """Return the audio plan that `encode_plan` was given.

    Raises
    ------
    msgspec.MsgspecError
        The bytes are no audio plan.
    """
    return _PLANS.decode(data)


def decode_encoded_plan(data: bytes) -> EncodedPlan:
    """Return the plan of a file that `encode_plan` was given.

    Raises
    ------
    msgspec.MsgspecError
        The bytes are no plan of a file.
    """
    return _ENCODED_PLANS.decode(data)


_PLANS: "msgspec.msgpack.Decoder[AudioPlan]" = msgspec.msgpack.Decoder(AudioPlan)
_ENCODED_PLANS = msgspec.msgpack.Decoder(EncodedPlan)

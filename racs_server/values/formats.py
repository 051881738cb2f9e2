"""How PCM is laid out, and the bounds of what a stream's format can be."""

import msgspec

BIT_DEPTHS = (16, 24)
MAX_CHANNELS = 32
MIN_RATE = 1
MAX_RATE = 768_000


class AudioFormat(msgspec.Struct, frozen=True):
    """How PCM is laid out.

    Attributes
    ----------
    sample_rate
        Sample frames a second, 1 ... 768,000.
    channels
        1 ... 32.
    bit_depth
        16 or 24.
    """

    sample_rate: int
    channels: int
    bit_depth: int

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample: 2 at 16 bits, 3 (packed) at 24."""
        return self.bit_depth // 8

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample frame: one sample of every channel."""
        return self.bit_depth // 8 * self.channels

    def __str__(self) -> str:
        channels = "channel" if self.channels == 1 else "channels"
        return f"{self.sample_rate} Hz, {self.channels} {channels}, {self.bit_depth} bit"

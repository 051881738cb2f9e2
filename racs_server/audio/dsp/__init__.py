"""Sample arithmetic: pure functions from blocks to blocks, with no state and no input or output.

A block is interleaved samples, shape (samples,), dtype int32, whole sample frames. The functions
never change a block that they are given; what they return may share its memory. `Dither` alone
keeps something between blocks: what does not fill a group.

Invariants
----------
- What is multiplied is multiplied in float64, rounded half to even, and only then saturated at the
  bounds of the bit depth.
- What becomes of a sample depends on the sample and on its place in the audio alone, never on where
  the blocks are cut.
"""

from racs_server.audio.dsp.channels import interleaved, one_channel
from racs_server.audio.dsp.depth import DITHER_FRAMES, Dither, deepened, dithered, shortened
from racs_server.audio.dsp.levels import added, bounded, faded, gained, panned, rounded
from racs_server.audio.dsp.remix import remix_matrix, remixed

__all__ = [
    "DITHER_FRAMES",
    "Dither",
    "added",
    "bounded",
    "deepened",
    "dithered",
    "faded",
    "gained",
    "interleaved",
    "one_channel",
    "panned",
    "remix_matrix",
    "remixed",
    "rounded",
    "shortened",
]

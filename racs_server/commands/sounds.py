"""What only programs can do with audio: look at its samples, and make audio of samples.

These are rows like those of the command table, but no commands: the command language has no way
to hold what they give.
"""

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from racs.wire import Vector
from racs_server.commands.context import Context
from racs_server.commands.encoding import encoded_bytes
from racs_server.commands.piping import audio_of
from racs_server.commands.source import SAMPLE_BYTES, iter_blocks
from racs_server.commands.spec import CommandSpec, Effect, Handler, Output, Overload, Param
from racs_server.commands.streams import FORMAT_PARAMS
from racs_server.errors import LimitError
from racs_server.values import AudioFormat, AudioPlan, EncodedPlan


def peak(context: Context, piped: AudioPlan) -> int:
    """Return the largest distance of a sample from 0; 0 where there is none."""
    return max(
        (max(int(each.max()), -int(each.min())) for each in _read(context, piped)), default=0
    )


def rms(context: Context, piped: AudioPlan) -> float:
    """Return the root of the mean square of all samples; 0 where there is none."""
    total = 0.0
    for block in _read(context, piped):
        values = block.astype(np.float64)
        total += float(values @ values)
    return math.sqrt(total / piped.samples) if piped.samples else 0.0


def to_vector(context: Context, piped: AudioPlan) -> Vector:
    """Return the samples of audio, interleaved by channel."""
    _check_size(context, piped.samples * SAMPLE_BYTES)
    return Vector("s32v", b"".join(block.data for block in _read(context, piped)))


def from_vector(
    context: Context, piped: AudioPlan | Vector, sample_rate: int, channels: int, bit_depth: int
) -> AudioPlan:
    """Return audio of interleaved samples; what is audio already stays as it is."""
    format_ = AudioFormat(sample_rate, channels, bit_depth)
    return audio_of(piped, format_, "VECTOR->AUDIO") if isinstance(piped, Vector) else piped


def file_bytes(context: Context, piped: EncodedPlan | Vector) -> Vector:
    """Return the bytes of a file."""
    if isinstance(piped, Vector):
        return piped

    def check(size: int) -> None:
        _check_size(context, size)

    return Vector("u8v", encoded_bytes(context, piped, check))


def _read(context: Context, plan: AudioPlan) -> Iterator[npt.NDArray[np.int32]]:
    """Read audio block by block, for as long as there is time."""
    for block in iter_blocks(context.store, plan):
        context.check_cancelled()
        yield block


def _check_size(context: Context, size: int) -> None:
    if size > context.memory:
        raise LimitError(
            f"over the budget of memory: {size} bytes are needed, {context.memory} allowed"
        )


def _row(
    name: str,
    doc: str,
    handler: Handler,
    output: Output,
    *,
    input_: Output = Output.AUDIO,
    params: tuple[Param, ...] = (),
    takes_samples: bool = False,
) -> CommandSpec:
    return CommandSpec(
        name=name,
        doc=doc,
        example=f"EVAL '({name.lower()} (range \"chopin\" 0 1))'",
        overloads=(Overload(params, handler),),
        input=input_,
        takes_samples=takes_samples,
        output=output,
        effect=Effect.READ,
    )


SPECS = (
    _row("AUDIO-PEAK", "Tell the largest distance of a sample from 0.", peak, Output.INT),
    _row("AUDIO-RMS", "Tell the root of the mean square of the samples.", rms, Output.ANY),
    _row("AUDIO->VECTOR", "Give the samples, interleaved.", to_vector, Output.AUDIO),
    _row(
        "VECTOR->AUDIO",
        "Make audio of interleaved samples.",
        from_vector,
        Output.AUDIO,
        params=FORMAT_PARAMS,
        takes_samples=True,
    ),
    _row("%FILE-BYTES", "Make a file.", file_bytes, Output.BYTES, input_=Output.BYTES),
)

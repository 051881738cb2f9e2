"""Makes plans that convert audio: its sample rate, its channels, its bit depth, or all of them.

All errors come before any audio is read. What equals what is asked for already is left as it is.
"""

from racs_server.errors import RequestError
from racs_server.values.building import checked
from racs_server.values.formats import BIT_DEPTHS, MAX_CHANNELS, MAX_RATE, MIN_RATE, AudioFormat
from racs_server.values.plans import AudioPlan, Remixed, Requantized, Resampled

MAX_FACTOR = 100
"""How many times higher or lower a rate may become: bounds the filters' memory and work."""

DITHER_SEED = 0
"""Where the random numbers begin unless told otherwise: equal requests give equal bytes."""

MAX_SEED = 2**63 - 1


def resample(plan: AudioPlan, sample_rate: int) -> AudioPlan:
    """Change the sample rate; N frames become ``ceil(N * sample_rate / rate)``.

    Raises
    ------
    RequestError
        The rate is out of bounds, or too far from the audio's own.
    LimitError
        The plan is too large.
    """
    rate = plan.format.sample_rate
    _within("RESAMPLE", "a sample rate", sample_rate, MIN_RATE, MAX_RATE, " Hz")
    if sample_rate > rate * MAX_FACTOR or rate > sample_rate * MAX_FACTOR:
        raise RequestError(
            f"RESAMPLE: from {rate} Hz to {sample_rate} Hz, but a rate can become at most"
            f" {MAX_FACTOR} times higher or lower: ask for"
            f" {max(MIN_RATE, -(-rate // MAX_FACTOR))} to {min(MAX_RATE, rate * MAX_FACTOR)} Hz"
        )
    if sample_rate == rate:
        return plan
    return checked(Resampled(plan, sample_rate), "RESAMPLE")


def remix(plan: AudioPlan, channels: int) -> AudioPlan:
    """Change the number of channels, by the matrix of `racs_server.audio.dsp.remix_matrix`.

    Raises
    ------
    RequestError
        The number is out of bounds.
    LimitError
        The plan is too large.
    """
    _within("REMIX", "a number of channels", channels, 1, MAX_CHANNELS)
    if channels == plan.format.channels:
        return plan
    return checked(Remixed(plan, channels), "REMIX")


def requantize(plan: AudioPlan, bit_depth: int, seed: int | None = DITHER_SEED) -> AudioPlan:
    """Change the bit depth.

    Parameters
    ----------
    plan
        The audio.
    bit_depth
        16 or 24.
    seed
        Where the random numbers of the dither begin, if the depth becomes less; None: no dither.

    Raises
    ------
    RequestError
        The depth or the seed is out of bounds.
    LimitError
        The plan is too large.
    """
    if bit_depth not in BIT_DEPTHS:
        raise RequestError(f"DEPTH: {bit_depth} bits, but samples have 16 or 24")
    if seed is not None:
        _within("DEPTH", "a seed", seed, 0, MAX_SEED)
    if bit_depth == plan.format.bit_depth:
        return plan
    fewer = bit_depth < plan.format.bit_depth
    return checked(Requantized(plan, bit_depth, seed if fewer else None), "DEPTH")


def convert(plan: AudioPlan, wanted: AudioFormat) -> AudioPlan:
    """Change whatever differs from a format, in the order in which least is lost and done.

    More bits come first, so that what follows is rounded at the greater depth; fewer channels come
    before the rate, and more after it, so that as few as possible are resampled; fewer bits come
    last, dithered once.

    Raises
    ------
    RequestError
        A number is out of bounds, or the rate too far from the audio's own.
    LimitError
        The plan is too large.
    """
    depth = max(plan.format.bit_depth, wanted.bit_depth)
    channels = min(plan.format.channels, wanted.channels)
    plan = remix(requantize(plan, depth), channels)
    plan = remix(resample(plan, wanted.sample_rate), wanted.channels)
    return requantize(plan, wanted.bit_depth)


def _within(command: str, name: str, value: int, least: int, most: int, unit: str = "") -> None:
    if not least <= value <= most:
        raise RequestError(
            f"{command}: {name} of {value}{unit}, but it goes from {least} to {most}{unit}"
        )

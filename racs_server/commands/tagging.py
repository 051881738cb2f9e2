"""What the files made of a plan tell of its audio: whose it is, and when it sounded."""

from fractions import Fraction
from math import floor

from racs_server.commands.context import Store
from racs_server.values import NS_PER_MS, NS_PER_S, AudioPlan, StreamRange, Tags, plans


def tags(store: Store, plan: AudioPlan) -> Tags:
    """Return the tags of a plan: those of its first stream.

    Raises
    ------
    StreamError
        The stream is gone.
    """
    origin = _origin(plan)
    if origin is None:
        return Tags()
    stream_id, seconds = origin
    ref = store.info(stream_id).ref
    if not ref:
        return Tags(stream_id)
    return Tags(stream_id, ref * NS_PER_MS + floor(seconds * NS_PER_S))


def _origin(plan: AudioPlan) -> tuple[str, Fraction] | None:
    """Return the first stream of a plan, and where in it the plan begins, in seconds.

    Silence put before audio begins that much earlier. None if there is no stream in it.
    """
    if isinstance(plan, StreamRange):
        return plan.stream_id, Fraction(plan.start, plan.format.sample_rate)
    origin = _origin(plan.inputs[0]) if plan.inputs else None
    if origin is None:
        return None
    stream_id, seconds = origin
    rate = plan.format.sample_rate
    match plan:
        case plans.Window(start=start):
            return stream_id, seconds + Fraction(start, rate)
        case plans.Padded(before=before):
            return stream_id, seconds - Fraction(before, rate)
        case _:
            return origin

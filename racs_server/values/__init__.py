"""The values that pass between the rooms: formats, exact times, stream descriptions, audio plans.

Time is exact everywhere: instants are whole nanoseconds since the Unix epoch (UTC), and sample
frame *i* of a stream is at ``ref + i * 1000 / rate`` milliseconds. No float takes part.
"""

from racs_server.values.events import Follow, Kind, StreamEvent, Subscribe
from racs_server.values.formats import BIT_DEPTHS, MAX_CHANNELS, MAX_RATE, MIN_RATE, AudioFormat
from racs_server.values.histogram import Histogram
from racs_server.values.plans import AudioPlan, EncodedPlan, StreamRange
from racs_server.values.streams import AppendTo, AttachTo, StreamInfo
from racs_server.values.tags import Tags
from racs_server.values.times import (
    NS_PER_MS,
    NS_PER_S,
    TimeRange,
    format_instant,
    seconds_to_frames,
)

__all__ = [
    "BIT_DEPTHS",
    "MAX_CHANNELS",
    "MAX_RATE",
    "MIN_RATE",
    "NS_PER_MS",
    "NS_PER_S",
    "AppendTo",
    "AttachTo",
    "AudioFormat",
    "AudioPlan",
    "EncodedPlan",
    "Follow",
    "Histogram",
    "Kind",
    "StreamEvent",
    "StreamInfo",
    "StreamRange",
    "Subscribe",
    "Tags",
    "TimeRange",
    "format_instant",
    "seconds_to_frames",
]

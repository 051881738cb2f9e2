"""What the archive of a run looks like, for all that archive runs: the adapter and the hub.

A run is one call of a rune: a remote function with audio inputs and outputs. Its streams are named
by `racs.runs.naming`; what is decoded from its audio files, and whether that is all there is to
them, says `racs.runs.sound`; what was given, said and made is the JSON of `racs.runs.record`.

Knows neither the client nor the server.
"""

from racs.runs.naming import RunStream, input_id, output_id, parse_id, record_id
from racs.runs.record import RECORD_FORMAT, RECORD_NAME, RunFile, RunRecord, decode, encode

__all__ = [
    "RECORD_FORMAT",
    "RECORD_NAME",
    "RunFile",
    "RunRecord",
    "RunStream",
    "decode",
    "encode",
    "input_id",
    "output_id",
    "parse_id",
    "record_id",
]

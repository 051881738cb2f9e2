"""Keep what runes hear and make: every run of a function, with its audio, in the archive.

`archive` decorates an async function, or is installed into runes-client; `runs` lists what is in
the archive, and `replay` calls a function again with what a run was given.

::

    function ─ archiving ─┬─ recording ─ spool ─ worker ─ sending ─► store
               hooks ─ output ┘                                        │
    replay ─ history ◄─────────────────────────────────────────────────┘

Invariants: what the function gets, returns and raises is what it would without the archive; a run
is whole on disk when its function has ended; it is in the archive once.
"""

from racs.runes.archiving import archive, flush
from racs.runes.history import Run, replay, runs
from racs.runes.output import Output, output

results = output
"""The name that older versions of runes-client have for it."""

__all__ = ["Output", "Run", "archive", "flush", "output", "replay", "results", "runs"]

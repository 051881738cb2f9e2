"""How many files the process may have open at once, and what that leaves for clients and segments.

Each client, segment and temporary file takes one. A server that has none left can neither open what
audio is to be put into nor start an evaluator: so clients and segments get no more together than
leaves some for everything else.
"""

import dataclasses
import logging
import resource

from racs_server.config import Settings

logger = logging.getLogger(__name__)

SPARE = 384
"""For listeners, log, catalogue, evaluators, clients that are refused, and the temporary files of
long replies, which the memory budget bounds."""
_SEGMENTS = 2
"""Files for each segment that may be open: so many may be, see `racs_server.storage.handles`."""


def allow_many() -> int:
    """Allow as many open files as this user may have; return how many that is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError) as error:
            logger.warning("only %d files can be open at once: %s", soft, error)
            return soft
    return hard


def fit(settings: Settings, files: int) -> Settings:
    """Return the settings, with no more clients and segments than there can be files for.

    Parameters
    ----------
    settings
        What is wanted.
    files
        How many files may be open at once.
    """
    doors = 1 + (settings.http_port >= 0) + (settings.hub_port >= 0)
    wanted = doors * settings.max_connections + _SEGMENTS * settings.open_files
    room = max(files - SPARE, files // 2)
    if wanted <= room:
        return settings
    fitting = dataclasses.replace(
        settings,
        max_connections=max(1, settings.max_connections * room // wanted),
        open_files=max(1, settings.open_files * room // wanted),
    )
    logger.warning(
        "at most %d files can be open at once (ulimit -n), which is enough for %d connections and"
        " %d segments, not for the %d and %d of the settings: allow %d",
        files,
        fitting.max_connections,
        fitting.open_files,
        settings.max_connections,
        settings.open_files,
        wanted + SPARE,
    )
    return fitting

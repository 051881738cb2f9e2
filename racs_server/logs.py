"""How the log is written: lines for people, or one JSON object a line for programs.

An object has ``time`` (RFC 3339, UTC), ``level``, ``logger`` and ``message``, what was told with
the event (``connection``, ``command``, ``ms`` ...), and ``error``, a traceback, if there was one.
"""

import logging
import sys
from datetime import UTC, datetime
from typing import Any

import msgspec

from racs_server.config import Settings

_TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class JsonFormatter(logging.Formatter):
    """Formats an event as a JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the object's text."""
        event: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        event |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if record.exc_info:
            event["error"] = self.formatException(record.exc_info)
        return msgspec.json.encode(event, enc_hook=str).decode()


def start_logging(settings: Settings) -> None:
    """Let the log go to standard error, as the settings say."""
    handler = logging.StreamHandler(sys.stderr)
    is_json = settings.log_format == "json"
    handler.setFormatter(JsonFormatter() if is_json else logging.Formatter(_TEXT))
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler])

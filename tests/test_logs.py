"""The log as JSON: one object a line, whatever is in it."""

import json
import logging
import sys

from racs_server.logs import JsonFormatter


def test_an_event_with_what_was_told_with_it() -> None:
    record = logging.LogRecord("racs", logging.INFO, "f.py", 1, "%d streams\n%s", (3, "ö"), None)
    record.connection, record.where = 7, ValueError("odd")
    record.created = 0.5
    line = JsonFormatter().format(record)
    assert "\n" not in line
    assert json.loads(line) == {
        "time": "1970-01-01T00:00:00.500+00:00",
        "level": "info",
        "logger": "racs",
        "message": "3 streams\nö",
        "connection": 7,
        "where": "odd",
    }


def test_a_traceback() -> None:
    try:
        raise ValueError("odd")
    except ValueError:
        record = logging.LogRecord("racs", logging.ERROR, "f.py", 1, "no", (), sys.exc_info())
    assert "ValueError: odd" in json.loads(JsonFormatter().format(record))["error"]

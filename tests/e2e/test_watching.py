"""A running server can be watched: STATS, metrics, and the log."""

import json
import re
import socket
import urllib.request
from pathlib import Path

from tests.e2e.daemon import Daemon


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def test_stats_metrics_and_log_agree(tmp_path: Path) -> None:
    port = free_port()
    flags = ["--metrics-port", str(port), "--log-format", "json", "--log-level", "debug"]
    with Daemon(tmp_path / "archive", *flags) as daemon:
        with daemon.client() as r:
            r.execute_command("CREATE 'chopin' 44100 2 16")
            r.stream("chopin").execute([0, 1] * 44100)
            first, second = (
                dict(zip(pairs[::2], pairs[1::2], strict=True))
                for pairs in (r.execute_command("STATS"), r.execute_command("STATS"))
            )
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as response:
            page = response.read().decode()
        assert daemon.stop() == 0
        events = [json.loads(line) for line in daemon.log().splitlines()]
    assert first["appended_bytes"] == 176400
    assert first["received_bytes"] > 176400
    assert first["streams"] == 1
    assert first["disk_free_bytes"] > 0
    assert second["requests"] == first["requests"] + 1
    metrics = dict(re.findall(r"^(\S+) (\S+)$", page, re.MULTILINE))
    assert metrics["racs_appended_bytes_total"] == "176400.0"
    assert metrics['racs_request_seconds_count{command="STATS",result="ok"}'] == "2.0"
    stats = [event for event in events if event.get("command") == "STATS"]
    assert [event["result"] for event in stats] == ["ok", "ok"]
    assert all(event["ms"] > 0 and event["bytes_out"] > 100 for event in stats)

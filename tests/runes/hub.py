"""A real server with a hub, a page's calls to it, and real runes."""

import os
import re
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import pytest

from tests.e2e.daemon import Daemon

ROOT = Path(__file__).parents[2]
RUNES_PYTHON = ROOT / ".venv-runes-0.9.4" / "bin" / "python"
MASTER = "0715c132-1111-4111-8111-111111111111"
EXAMPLE = Path(__file__).with_name("example_rune.py")
PATIENCE = 300.0

NEEDS_CLIENT = pytest.mark.skipif(
    not (os.environ.get("RACS_TEST_RUNES") and RUNES_PYTHON.exists()),
    reason="takes minutes, and runes-client: sh scripts/runes.sh, then set RACS_TEST_RUNES=1",
)

Json = dict[str, Any]


class HubDaemon(Daemon):
    """``racs-server`` with a hub."""

    def __init__(self, data_dir: Path, *flags: str, hub_port: int = 0) -> None:
        super().__init__(data_dir, "--hub-port", str(hub_port), *flags)
        match = re.search(r"hub at (\S+):(\d+)", self.greeting)
        assert match is not None, self.greeting
        self.hub_port = int(match[2])
        self.hub = f"{match[1]}:{match[2]}"


class Page:
    """What a page does."""

    def __init__(self, hub: str, master: str = MASTER, trusted: Path | None = None) -> None:
        context = ssl.create_default_context(cafile=trusted)
        self.http = httpx.Client(
            base_url=f"{hub}/api/page/",
            headers={"Authorization": f"Bearer {master}"},
            timeout=30,
            verify=context,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def ask(self, method: str, path: str, **options: Any) -> Any:
        response = self.http.request(method, path, **options)
        assert response.status_code < 300, response.text
        return response.json()

    def rune(self, name: str = "My Remote Code") -> Json:
        """Return a rune as soon as it is ready."""

        def ready() -> Json | None:
            found = [each for each in self.ask("GET", "runes") if each["name"] == name]
            return next((each for each in found if each["state"] in ("ready", "busy")), None)

        return wait_for(ready)

    def upload(self, path: Path) -> Json:
        made = self.ask("POST", "uploads", params={"name": path.name}, content=path.read_bytes())
        return {"upload": made["id"]}

    def run(self, token: str, **values: Any) -> Json:
        found: Json = self.ask("POST", f"runes/{token}/runs", json={"values": values})
        return found

    def with_outputs(self, run: Json) -> Json | None:
        """Return a run if there is something already that it has made."""
        found: Json = self.ask("GET", f"runs/{run['id']}")
        return found if found["outputs"] else None

    def with_outputs_archived(self, run: Json) -> Json | None:
        """Return a run if what it has made is in the archive."""
        found = self.with_outputs(run)
        if found is None or not found["archived"]:
            return None
        kept = (each.get("stream") or each.get("attachment") for each in found["outputs"])
        return found if all(kept) else None

    def ended(self, run: Json) -> Json:
        """Return a run as it is when it is over and in the archive."""

        def over() -> Json | None:
            found: Json = self.ask("GET", f"runs/{run['id']}")
            return found if found["archived"] else None

        return wait_for(over)


class Launched:
    """A rune that ``racs rune run`` runs."""

    def __init__(
        self,
        hub: str,
        scratch: Path,
        name: str = "My Remote Code",
        *options: str,
        script: Path = EXAMPLE,
    ) -> None:
        scratch.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-c", "from racs.cli.main import cli; cli()", "rune", "run"]
        known = ["--hub", hub, "--token", MASTER, "--python", str(RUNES_PYTHON), *options]
        variables = {"RUNE_NAME": name, "RUNE_SCRATCH": str(scratch), "PYTHONPATH": str(ROOT)}
        self.scratch = scratch
        self.output = scratch / "output.txt"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [*command, *known, str(script)],
                env={**os.environ, **variables},
                cwd=scratch,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.process.send_signal(2)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def wait_for(look: Callable[[], Json | None]) -> Json:
    """Return what is found as soon as there is something."""
    deadline = time.monotonic() + PATIENCE
    while (found := look()) is None:
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.05)
    return found

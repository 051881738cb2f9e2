"""``racs rune``: runs runes, which are remote functions with a page, and makes new ones.

The hub is part of racs-server (``racs-server --hub-port 8765``); the rune's own Python has to have
the package ``runes-client``, which knows nothing of it: all is done by its environment.
"""

import json
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import click

from racs.cli.base import UNREACHABLE, Command, Failure

DEFAULT_HUB = "http://127.0.0.1:8765"
_BOOT = Path(__file__).with_name("rune_boot.py")
_REPORT = 0.5
_PATIENCE = 3.0
_HTTP_TIME = 10.0
_MOST_KEPT = 1 << 20

_TEMPLATE = '''\
"""A rune: run it with  racs rune run {file}"""

import wave

import runes_client as runes
from runes_client import RunesFilePath, ui_param

runes.set_name("{name}")
runes.set_description("Says how long a recording is, and gives it back.")


@ui_param("times", "RunesNumberSlider", min=1, max=5, step=1, default=1)
@ui_param("mood", "RunesMultiChoice", options=["calm", "loud"], default="calm")
async def {function}(sound: RunesFilePath = None, times: int = 1, mood: str = "calm"):
    results = runes.output()
    if sound is None:
        await results.add_message("Give me a sound.")
        return
    with wave.open(sound) as file:
        seconds = file.getnframes() / file.getframerate()
    print("the file is", sound)
    for _ in range(times):
        await results.add_file(sound)
    await results.add_message(f"{{seconds:.2f}} s of {{mood}} sound")


runes.register_method({function})
runes.connect_to_server()
'''


class RuneCommand(Command, click.Group):
    """The group of these commands, with examples."""


@click.group("rune", cls=RuneCommand)
def rune_command() -> None:
    """Run remote functions with a page, and make new ones.

    They are called from the page of a hub, which the server can be: racs-server --hub-port 8765.
    """


rune_command.examples = (
    "racs rune new hello",
    "racs rune run hello.py --python runes/bin/python",
)


@rune_command.command("new")
@click.argument("name")
def new(name: str) -> None:
    """Write a small rune that works, as NAME.py."""
    stem = name.removesuffix(".py")
    function = "".join(char if char.isalnum() else "_" for char in stem).lower()
    if not function.isidentifier():
        raise Failure(f"{name!r} cannot be the name of a function: begin it with a letter")
    path = Path(f"{stem}.py")
    title = json.dumps(stem)[1:-1]
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(_TEMPLATE.format(file=path.name, name=title, function=function))
    except FileExistsError:
        raise Failure(f"{path} is there already, and was left as it is") from None
    click.echo(f"{path} is written. Start it with: racs rune run {path}")


@rune_command.command("run")
@click.argument("script", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("arguments", nargs=-1)
@click.option(
    "--hub",
    default=DEFAULT_HUB,
    envvar="RACS_HUB",
    show_default=True,
    show_envvar=True,
    help="The hub; or the address with a key (http://host:port/r/KEY/) that its page has given.",
)
@click.option(
    "--token",
    envvar="RACS_RUNE_TOKEN",
    help="The page's token; without it one is made, and kept for the next time.",
)
@click.option(
    "--login", envvar="RACS_TOKEN", help="A user's token, where the server has users.", default=None
)
@click.option(
    "--python",
    default=sys.executable,
    help="The Python that has runes-client; by default the one that runs this.",
)
@click.option(
    "--ca",
    type=click.Path(exists=True, dir_okay=False),
    help="Certificate that vouches for the hub.",
)
def run(
    script: Path,
    arguments: tuple[str, ...],
    hub: str,
    token: str | None,
    login: str | None,
    python: str,
    ca: str | None,
) -> None:
    """Run a rune's SCRIPT (.py or .ipynb), unmodified, against a hub; Ctrl-C ends it."""
    hub = hub.rstrip("/")
    with ExitStack() as stack:
        certificates = stack.enter_context(_certificates(ca))
        calls = Calls(ca)
        token = (token or _kept_token()).lower()
        if "/r/" in hub:
            base = f"{hub}/"
        else:
            if login:
                calls.post(f"{hub}/api/page/masters", {"token": token}, login)
            base = calls.post(f"{hub}/api/page/keys", {"name": script.name}, token)["base"]
            click.echo(f"racs: the page is {hub}/#{token}", err=True)
        environment = {
            **os.environ,
            **certificates,
            "DN_CLIENT_API_BASE_URL": base,
            "DN_CLIENT_STORAGE_BUCKET": f"{base}files",
            "DN_CLIENT_SENTRY_API_KEY": "",
            "PYTHONUNBUFFERED": "1",
        }
        if "/r/" not in hub:
            environment["DN_CLIENT_TOKEN"] = token
        if shutil.which("ffmpeg") is None:
            stub = stack.enter_context(_ffmpeg())
            environment["PATH"] = f"{environment.get('PATH', '')}{os.pathsep}{stub}"
        command = [python, str(_BOOT), str(script), *arguments]
        while (status := Launch(command, environment, base, calls).run()) is None:
            click.echo("racs: the rune was stopped from the page; it starts again", err=True)
    if status:
        raise Failure(f"{script} has ended with status {status}")


class Calls:
    """JSON over HTTP.

    Parameters
    ----------
    ca
        A certificate that vouches for the server, besides the usual ones.
    """

    def __init__(self, ca: str | None = None) -> None:
        self._context = ssl.create_default_context()
        if ca is not None:
            self._context.load_verify_locations(ca)

    def __repr__(self) -> str:
        return "<Calls>"

    def post(self, url: str, body: dict[str, Any], token: str = "") -> dict[str, Any]:
        """Return what the server answers.

        Raises
        ------
        Failure
            It refuses, or is not there.
        """
        if not url.startswith(("http://", "https://")):
            raise Failure(f"{url!r} is no address of a hub: expected http://host:port")
        headers = {"Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        request = Request(url, json.dumps(body).encode(), headers, method="POST")  # noqa: S310
        context = self._context if url.startswith("https") else None
        try:
            with urlopen(request, timeout=_HTTP_TIME, context=context) as response:  # noqa: S310
                answer: dict[str, Any] = json.load(response)
                return answer
        except HTTPError as error:
            raise Failure(_detail(error)) from None
        except (URLError, OSError) as error:
            why = getattr(error, "reason", error)
            raise Failure(
                f"there is no hub at {url}: {why}. Start one with racs-server --hub-port 8765, or"
                " name another with --hub",
                UNREACHABLE,
            ) from None


def _detail(error: HTTPError) -> str:
    try:
        return str(json.load(error)["detail"])
    except (ValueError, KeyError, TypeError):
        return f"the hub says {error.code} {error.reason}"


class Launch:
    """One life of a rune's process.

    Parameters
    ----------
    command, environment
        The process.
    base
        The hub's address with the rune's key.
    calls
        How to reach it.
    """

    def __init__(
        self, command: list[str], environment: dict[str, str], base: str, calls: Calls
    ) -> None:
        self._command = command
        self._environment = environment
        self._url = f"{base}api/rune/output"
        self._calls = calls
        self._lock = threading.Lock()
        self._output = bytearray()

    def __repr__(self) -> str:
        return f"<Launch {self._command}>"

    def run(self) -> int | None:
        """Run it to its end; its exit status, or None if the page has stopped it."""
        process = subprocess.Popen(  # noqa: S603 (running it is what this is for)
            self._command, env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        reader = threading.Thread(target=self._read, args=(process,), daemon=True)
        reader.start()
        try:
            while process.poll() is None:
                time.sleep(_REPORT)
                if self._report():
                    return None
            return process.returncode
        except KeyboardInterrupt:
            return 0
        finally:
            _end(process)
            reader.join(_PATIENCE)
            self._report(f"the rune's process has ended, with status {process.returncode}")

    def _read(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdout is not None
        while piece := process.stdout.read1(1 << 16):  # type: ignore[attr-defined]
            sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
            with self._lock:
                self._output += piece
                del self._output[:-_MOST_KEPT]

    def _report(self, ended: str = "") -> bool:
        """Send the hub what was printed, and why it is over; whether the rune is to be stopped."""
        with self._lock:
            text = bytes(self._output).decode(errors="replace")
            self._output.clear()
        try:
            return bool(self._calls.post(self._url, {"text": text, "ended": ended}).get("stop"))
        except Failure:
            return False  # the rune itself says what is wrong, and goes on when it is over


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _kept_token() -> str:
    """Return the token that was made before, or a new one, which is kept for its owner alone."""
    import platformdirs

    path = platformdirs.user_config_path("racs", appauthor=False) / "rune-token"
    try:
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        token = str(uuid.uuid4())
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(0o600)
        path.write_text(token, encoding="ascii")
        return token


@contextmanager
def _ffmpeg() -> Iterator[str]:
    """Yield a folder with something of that name: the client looks for it, and does not use it."""
    with tempfile.TemporaryDirectory(prefix="racs-rune-") as folder:
        stub = Path(folder, "ffmpeg")
        stub.write_text("#!/bin/sh\nexit 0\n", encoding="ascii")
        stub.chmod(0o755)
        yield folder


@contextmanager
def _certificates(ca: str | None) -> Iterator[dict[str, str]]:
    """Yield the variables by which a rune trusts the usual certificates, and one more."""
    if ca is None:
        yield {}
        return
    usual = os.environ.get("SSL_CERT_FILE") or ssl.get_default_verify_paths().cafile
    with tempfile.NamedTemporaryFile("wb", suffix=".pem") as file:
        for path in filter(None, (usual, ca)):
            file.write(Path(path).read_bytes() + b"\n")
        file.flush()
        yield {"SSL_CERT_FILE": file.name, "REQUESTS_CA_BUNDLE": file.name}

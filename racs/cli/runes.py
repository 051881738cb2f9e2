"""``racs rune``: runs runes, which are remote functions with a page, and makes new ones.

The hub is part of racs-server (``racs-server --hub-port 8765``); the rune's own Python has to have
the package ``runes-client``, which knows nothing of it: all is done by its environment.
"""

import json
import os
import shutil
import ssl
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import click

from racs.cli.base import Command, Failure
from racs.cli.rune_process import Calls, Launch

DEFAULT_HUB = "http://127.0.0.1:8765"
_BOOT = Path(__file__).with_name("rune_boot.py")

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
        if not _is_token(token):
            raise Failure(f"--token {token!r} is none: the page shows its token, which is a UUID")
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


def _kept_token() -> str:
    """Return the token that was made before, or a new one, which is kept for its owner alone."""
    import platformdirs

    path = platformdirs.user_config_path("racs", appauthor=False) / "rune-token"
    with suppress(FileNotFoundError):
        token = path.read_text(encoding="ascii").strip()
        if _is_token(token):
            return token
    token = str(uuid.uuid4())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(0o600)
    path.write_text(token, encoding="ascii")
    return token


def _is_token(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


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

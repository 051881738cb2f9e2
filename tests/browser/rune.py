"""A rune of a few lines: what the client of runes says to the hub, without the client."""

import contextlib
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import httpx

Files = Mapping[str, tuple[str, bytes]]
"""Name of a file → its type in the client's words, and its bytes."""


class Run:
    """What a function is given: ``values``, and a way to hand files over."""

    def __init__(self, http: httpx.Client, token: str, message: dict[str, Any]) -> None:
        self._http = http
        self._token = token
        self.id = message["id"]
        params = message["request"]["data"]["params"]
        self.values = {name: each["value"] for name, each in params.items()}
        self.files: list[dict[str, str]] = []

    def add_file(self, name: str, kind: str, data: bytes) -> None:
        """Upload a file, as the client does while the function runs or at its end."""
        answer = self._http.get(f"/api/hub/get_signed_url/?token=myToken&filename={name}")
        put = self._http.put(answer.json()["signed_url"], content=data)
        assert put.status_code == 200, put.text
        self.files.append({"name": name, "url": f"https://storage/{name}", "type": kind})

    def reply(self, *, message: str = "", error: str | None = None, logs: str = "") -> None:
        """Say what has come of it."""
        status = "error" if error else "completed"
        response = {
            "files": self.files,
            "error": error,
            "logs": logs,
            "message": message,
            "status": status,
            "id": self.id,
        }
        body = {"id": self.id, "token": self._token, "status": "completed", "response": response}
        assert self._http.post("/api/hub/reply_to_message/", json=body).status_code == 200


class ScriptedRune:
    """Registers, polls, and calls a function for each run, in a thread.

    Parameters
    ----------
    base
        The hub's URL.
    master
        The master token of the page.
    params
        As a contract has them.
    function
        Gets each `Run`; has to reply.
    name, description, author
        What it says of itself.
    """

    def __init__(
        self,
        base: str,
        master: str,
        params: Sequence[Mapping[str, Any]],
        function: Callable[[Run], None],
        name: str = "Tone",
        description: str = "Makes a tone.",
        author: str = "Ada",
    ) -> None:
        self.token = str(uuid.uuid4())
        self._function = function
        self._stop = threading.Event()
        self._http = httpx.Client(base_url=base, timeout=60)
        data = {
            "method_name": "make_tone",
            "params": list(params),
            "author": author,
            "name": name,
            "description": description,
            "version": "1.0.0",
        }
        mapping = {
            "master_token": master,
            "connection_token": self.token,
            "connection_name": name,
            "connection_type": "unknown",
            "description": description,
        }
        self._created("compute/contract/", {"id": self.token, "data": data})
        self._created("connection_mappings/", mapping)
        for loaded in (False, True):
            self._http.put(f"/api/hub/connections/{self.token}/loaded/", json={"loaded": loaded})
        self._thread = threading.Thread(target=self._work, daemon=True)

    def _created(self, path: str, body: dict[str, Any]) -> None:
        answer = self._http.post(f"/api/hub/{path}", json=body)
        assert answer.status_code == 201, answer.text

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()

    def _work(self) -> None:
        path = f"/api/hub/get_latest_pending_messages/{self.token}/"
        with contextlib.suppress(httpx.HTTPError), contextlib.closing(self._http):
            while not self._stop.is_set():  # or until the hub is stopped
                for message in self._http.get(path).json():
                    self._carry_out(message)

    def _carry_out(self, message: dict[str, Any]) -> None:
        path = f"/api/hub/update_message_status/{self.token}/{message['id']}/"
        self._http.patch(path, json={"status": "processing"})
        self._function(Run(self._http, self.token, message))

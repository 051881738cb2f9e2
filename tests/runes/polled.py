"""The least that runes-client needs of a hub: it is told of one run, and what it answers is kept.

A process of its own: ``python polled.py REQUEST SECONDS``, with the request's data as JSON. Prints
its port, then, as a line of JSON, what the rune replied, unless that takes too long.
"""

import json
import os
import sys
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Hub(BaseHTTPRequestHandler):
    """Answers calls by what is in their paths; doubled slashes and a base path do not matter."""

    loaded = False
    offered = False
    data: dict[str, object] = json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def answer(self) -> None:
        """Answer any call."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, value = 200, self._reply(body)
        if "contract" in self.path or "connection_mappings" in self.path:
            status = 201
        text = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_PUT = do_POST = do_PATCH = answer  # noqa: N815 (names of http.server)

    def _reply(self, body: bytes) -> object:
        if "/loaded" in self.path:
            Hub.loaded = json.loads(body)["loaded"]
        elif "get_latest_pending_messages" in self.path and Hub.loaded and not Hub.offered:
            Hub.offered = True
            token = self.path.strip("/").rpartition("/")[2]
            request = {"token": token, "type": "run_method", "bpm": 120, "sample_rate": 48000}
            message = {"id": str(uuid.uuid4()), "token": token, "status": "pending"}
            return [message | {"response": None, "request": request | {"data": Hub.data}}]
        elif "get_latest_pending_messages" in self.path:
            return []
        elif "get_signed_url" in self.path:
            name = self.path.partition("filename=")[2]
            return {"signed_url": f"http://{self.headers['Host']}/uploads/{name}"}
        elif "reply_to_message" in self.path:
            print(body.decode(), flush=True)
            threading.Thread(target=self.server.shutdown).start()
        return {}


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    print(server.server_address[1], flush=True)
    threading.Timer(float(sys.argv[2]), server.shutdown).start()
    server.serve_forever()
    sys.stdout.close()
    os._exit(0)

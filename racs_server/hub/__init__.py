"""The hub: connects runes (remote functions of the package ``runes-client``) with pages.

``application`` puts it together; ``door`` says who comes in; ``exchange`` is what runes call,
``plugin`` what foreign pages do, ``transfer`` files in and out, ``api`` what this project's own
page calls, with ``bodies`` (what they bring) and ``answers`` (what they are told); ``hub`` is what
they all use. Under it, without an event loop: ``desk`` (every change of state) with ``book`` (the
database) and ``rows``, ``contract`` (values against parameters), ``presence`` (who is alive),
``inputs``, ``outputs``, ``archive`` and ``conversion`` (audio in and out), ``files``.

Needs what the extra ``hub`` installs.
"""

from racs_server.hub.application import create_app
from racs_server.hub.hub import Hub

__all__ = ["Hub", "create_app"]

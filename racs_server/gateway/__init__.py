"""The HTTP API: streams, their audio and what happens to them, for everything that speaks HTTP.

Needs the extra ``[http]`` (starlette, hypercorn); nothing of this room is imported without it.
`make_app` makes the app, `Site` serves it or any other, `Door` checks who comes in.
"""

from racs_server.gateway.door import Door, Guard, caller_of
from racs_server.gateway.services import Services
from racs_server.gateway.serving import Site
from racs_server.gateway.shelf import Shelf
from racs_server.gateway.site import make_app

__all__ = ["Door", "Guard", "Services", "Shelf", "Site", "caller_of", "make_app"]

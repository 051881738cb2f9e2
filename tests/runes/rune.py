"""A rune for the real runes-client: archived by a decorator, or, with ``install``, by installing.

``python rune.py PACKAGES HOW``, where PACKAGES has what this project needs beside the client.
"""

import os
import sys
from collections.abc import Callable
from typing import Any

sys.path.append(sys.argv[1])

from racs.runes import archive

if sys.argv[2] == "install":
    archive.install()

import runes_client.core as runes
from runes_client import RunesFilePath, ui_param

Decorator = Callable[[Any], Any]
above: Decorator = archive() if sys.argv[2] == "above" else lambda function: function
slider: Decorator = ui_param("a", "RunesNumberSlider", min=0, max=10, step=1, default=5)
choice: Decorator = ui_param(
    "c", "RunesMultiChoice", options=["grapes", "oranges"], default="grapes"
)
below: Decorator = archive() if sys.argv[2] == "below" else lambda function: function


async def register_imports() -> None:
    """Import nothing."""


@above
@slider
@choice
@below
async def arbitrary_method(a: int, b: RunesFilePath, c: str) -> bool:
    """Hand the sound on."""
    print("working on", os.path.basename(b))  # noqa: PTH119
    await runes.output().add_file(b)
    await runes.output().add_message(f"{a} {c}")
    return True


runes.register_imports(register_imports)
runes.set_token(token="0715c132-0b31-406e-b562-9206c479a48a")
runes.set_name("My Remote Code")
runes.register_method(arbitrary_method)
runes.connect_to_server()

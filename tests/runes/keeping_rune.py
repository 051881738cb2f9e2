# mypy: ignore-errors
"""A rune that keeps what it gets, and hands over what lies in a folder."""

import os
import shutil
from pathlib import Path

import runes_client as runes
from runes_client import RunesFilePath

runes.set_token("0715c132-1111-4111-8111-111111111111")
runes.set_name("Keeping")
runes.set_description("Keeps and hands over")

SCRATCH = Path(os.environ["RUNE_SCRATCH"])


async def keep(sound: RunesFilePath = None, give: str = "", lines: int = 0):
    if sound:
        shutil.copy(sound, SCRATCH / "got.wav")
    for number in range(lines):
        print(f"line {number} " + "x" * 1000)
    for path in sorted((SCRATCH / give).iterdir()) if give else []:
        await runes.output().add_file(str(path))
    return True


runes.register_method(keep)
runes.connect_to_server()

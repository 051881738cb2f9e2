# mypy: ignore-errors
"""A rune as its authors write them: the example, and what goes wrong in others."""

import asyncio
import os
import shutil
import sys
import time
from pathlib import Path

import runes_client.core as runes
from runes_client import RunesFilePath, ui_param

runes.set_token("0715c132-1111-4111-8111-111111111111")
runes.set_name(os.environ.get("RUNE_NAME", "My Remote Code"))
runes.set_description("This is not a template")

SCRATCH = Path(os.environ["RUNE_SCRATCH"])
WAYS = ["cherries", "oranges", "grapes", "raise", "block", "much", "many", "equal", "odd", "wait"]


@ui_param("a", "RunesNumberSlider", min=0, max=10, step=1, default=5)
@ui_param("c", "RunesMultiChoice", options=WAYS, default="grapes")
async def arbitrary_method(a: int, b: RunesFilePath = None, c: str = "grapes"):
    results = runes.results()
    print("given", a, b, c, [type(each).__name__ for each in (a, b, c)])
    if b:
        shutil.copy(b, SCRATCH / "got.wav")
    if c == "raise":
        await results.add_file(b)
        raise ValueError("boom")
    if c == "block":
        time.sleep(4)
    if c == "much":
        for _ in range(200_000):
            print("much is printed", file=sys.stderr)
    if c == "many":
        for number in range(50):
            await results.add_file(str(_copy(b, f"{number:02}", "x.wav")))
    if c == "equal":
        for folder in ("one", "two"):
            await results.add_file(str(_copy(b, folder, "same.wav")))
    if c == "odd":
        await results.add_file(str(_copy(b, "odd", "a b&c#ü%41=.wav")))
        note = SCRATCH / "note.txt"
        note.write_text("hello", encoding="utf-8")
        await results.add_file(str(note))
    if c == "wait":
        await results.add_file(str(_copy(b, "first", "first.wav")))
        while not (SCRATCH / "go on").exists():
            await asyncio.sleep(0.1)
    if c in ("cherries", "oranges", "grapes", "block", "wait"):
        await results.add_file(b)
    await results.add_message("This is a message")
    return True


def _copy(path: str, folder: str, name: str) -> Path:
    (SCRATCH / folder).mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy(path, SCRATCH / folder / name))


runes.register_method(arbitrary_method)
runes.connect_to_server()

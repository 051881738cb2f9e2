"""The rooms of the house may import only from layers above their own, and the client none of it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SHARED = {"racs.files", "racs.wire", "racs.runs"}
"""What client and server share: the bytes between them, and what the archive of a run is."""
LEAF = "racs.files"
LAYERS = [
    {"racs.files", "racs.wire", "racs.runs", "racs_server.errors"},
    {"racs_server.values", "racs_server.config", "racs_server.riff", "racs_server.glob"},
    {
        "racs_server.access",
        "racs_server.lang",
        "racs_server.scheme",
        "racs_server.audio",
        "racs_server.storage",
    },
    {"racs_server.sandbox"},
    {"racs_server.commands"},
    {"racs_server.net", "racs_server.gateway", "racs_server.hub"},
    {
        "racs_server.app",
        "racs_server.descriptors",
        "racs_server.logs",
        "racs_server.monitor",
        "racs_server.tools",
        "racs_server.__main__",
    },
]
APP = LAYERS[-1]
DEPTH = {room: depth for depth, layer in enumerate(LAYERS) for room in layer}
MODULES = sorted([*ROOT.glob("racs/**/*.py"), *ROOT.glob("racs_server/**/*.py")])


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute here"
            assert node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of(name: str) -> str | None:
    """Return the room that a module's or an imported object's dotted name lies in."""
    return next((room for room in DEPTH if f"{name}.".startswith(f"{room}.")), None)


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_imports_point_upwards(path: Path) -> None:
    name = module_name(path)
    room = room_of(name)
    for imported in imports(path):
        package = imported.partition(".")[0]
        if package == "racs_server":
            assert name.startswith("racs_server"), f"the client must not import {imported}"
            target = room_of(imported)
            assert target is not None, f"{imported} is in no room"
            assert room is not None
            assert target == room or DEPTH[target] < DEPTH[room] or {target, room} <= APP, imported
        elif package == "racs":
            inside = name.startswith("racs.") or name == "racs"
            assert inside or room_of(imported) in SHARED, f"{name} imports {imported}"
            assert room not in SHARED or room_of(imported) in {room, LEAF}, imported


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_the_event_loop_stays_in_the_outer_layers(path: Path) -> None:
    name = module_name(path)
    room = room_of(name)
    outer = room is not None and DEPTH[room] > DEPTH["racs_server.commands"]
    allowed = outer or name == "racs_server.commands.executor"
    if name.startswith("racs_server") and not allowed:
        assert "trio" not in {imported.partition(".")[0] for imported in imports(path)}

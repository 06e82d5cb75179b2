"""Imports point downwards: tools -> agent -> pamiq_lightning, and from entries to leaves inside.

Within a package a module may import modules of lower floors, and of its own room.
"""

from __future__ import annotations

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("tools", "agent", "pamiq_lightning")
FLOORS = {
    "pamiq_lightning": (
        ("__main__",),
        ("offline",),
        ("trainer",),
        ("checkpoint",),
        ("replay",),
        ("learners", "curiosity"),
        ("recording", "exchange"),
        ("nets", "step"),
        ("shapes",),
        ("utils", "run_files"),
    ),
    "agent": (
        ("run", "ctl", "check"),
        ("lifecycle",),
        ("ui",),
        ("worlds.factory", "worlds.__main__"),
        ("loop", "actor"),
        ("hot_swap", "settings"),
        ("worlds",),
        ("osc", "capture"),
        ("lifecycle.signals", "run_dir", "clock", "pause", "metrics", "gaits"),
        ("actions",),
        ("errors",),
    ),
}
"""Rooms from top to bottom; the longest name that fits a module is its room."""
FORBIDDEN = {
    "pamiq_lightning.nets": ("lightning", "pamiq_lightning", "multiprocessing"),
    "pamiq_lightning.learners": ("multiprocessing", "pamiq_lightning.exchange"),
    "pamiq_lightning.trainer.loop": ("torch", "pamiq_lightning.learners", "pamiq_lightning.nets"),
    "pamiq_lightning.utils": ("lightning", "tensordict", "torchrl"),
    "agent.settings": ("torch", "lightning"),
}
"""What the modules of a room never import, their own room aside."""

CONSOLE = "pamiq_lightning.utils.console"
BARE_PRINTS = (
    *("sys.stdout", "sys.stderr", "traceback.print_exc", "traceback.print_exception"),
    *("logging.warning", "logging.error", "_log.warning", "_log.error"),
)
"""What writes to a standard stream and can raise, or be lost in its buffer."""


@cache
def modules() -> dict[str, Path]:
    """Return every module of the project by its dotted name."""
    files = (path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in files
    }


@cache
def imports(module: str) -> frozenset[str]:
    """Return what a module imports, inside functions too; imports for types alone are left out."""
    found: set[str] = set()
    waiting: list[ast.AST] = [ast.parse(modules()[module].read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            found.update(name if name in modules() else node.module for name in names)
        waiting.extend(ast.iter_child_nodes(node))
    return frozenset(found - {module})


def belongs(module: str, room: str) -> bool:
    return module == room or module.startswith(f"{room}.")


def room_and_floor(module: str) -> tuple[str, int]:
    """Return the room of a module and the number of its floor, 0 at the top."""
    package, _, rest = module.partition(".")
    rooms = [
        (room, floor)
        for floor, rooms in enumerate(FLOORS[package])
        for room in rooms
        if belongs(rest, room)
    ]
    assert rooms, f"{module} has no floor: add its room to FLOORS"
    return max(rooms, key=lambda each: len(each[0]))


def test_no_import_circle() -> None:
    graph = {module: imports(module) & modules().keys() for module in modules()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"import circle: {' <- '.join(error.args[1])}")


def test_packages_import_only_those_below() -> None:
    upward = [
        f"{module} imports {name}"
        for module in modules()
        for name in imports(module)
        for package in PACKAGES[: PACKAGES.index(module.partition(".")[0])]
        if belongs(name, package)
    ]
    assert not upward


@pytest.mark.parametrize("package", FLOORS)
def test_rooms_import_only_those_below(package: str) -> None:
    upward = []
    inside = [module for module in modules() if module.startswith(f"{package}.")]
    for module in inside:
        room, floor = room_and_floor(module)
        for name in imports(module) & set(inside):
            other, other_floor = room_and_floor(name)
            if other != room and other_floor <= floor:
                upward.append(f"{module} imports {name}")
    assert not upward


def prints(node: ast.AST) -> bool:
    """Return whether a node writes to a standard stream by itself."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return f"{node.value.id}.{node.attr}" in BARE_PRINTS
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "Console":
        return not any(keyword.arg == "file" for keyword in node.keywords)
    return isinstance(node, ast.Name) and node.id == "print"


def test_messages_to_a_person_go_through_one_place() -> None:
    bare = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for module, path in modules().items()
        if module != CONSOLE
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.expr) and prints(node)
    ]
    assert not bare, "use pamiq_lightning.utils.console"


@pytest.mark.parametrize("room", FORBIDDEN)
def test_rooms_do_not_know_what_is_not_theirs(room: str) -> None:
    known = [
        f"{module} imports {name}"
        for module in modules()
        if belongs(module, room)
        for name in imports(module)
        for forbidden in FORBIDDEN[room]
        if belongs(name, forbidden) and not belongs(name, room)
    ]
    assert not known

"""The order of the house: imports point down only, without cycles, and nothing below the server does I/O.

The table is ARCHITECTURE.md's. An import inside a function or under TYPE_CHECKING counts like any other:
what is forbidden is the knowledge, not only the loading. One thing is allowed: two modules of one package
whose classes hold each other, where one of them imports the other for its type alone.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

SOURCES = Path(__file__).resolve().parent.parent / "src"

LAYERS = {
    "base": 0,
    "resp": 1,
    "datatypes": 2,
    "rdb": 3,
    "keyspace": 3,
    "commands": 4,
    "engine": 5,
    "persistence": 6,
    "replication": 6,
    "cluster": 6,
    "sentinel": 6,
    "server": 7,
    "ops": 7,
    "cli": 8,
    "web": 8,
    "testing": 8,
    "sim": 8,
    "__main__": 9,
}
HIGHEST_LAYER_WITHOUT_IO = 6

# Modules by which a process reaches clock, chance, disk, network, threads, other processes or its log.
IO_MODULES = frozenset(
    """asyncio concurrent ctypes datetime fcntl io logging mmap multiprocessing os pathlib queue random
    resource sched secrets select selectors shutil signal socket socketserver ssl subprocess syslog tempfile
    termios threading time urllib uuid uvloop""".split()
)
IO_BUILTINS = frozenset({"open", "print", "input", "breakpoint"})

# The only modules below the server that may import such a module, and why.
DOORS: dict[str, dict[str, str]] = {}


@dataclass(frozen=True)
class Use:
    """One import, or one call of a builtin that does I/O, as it stands in a source file."""

    module: str
    target: str
    line: int
    type_only: bool = False

    def __str__(self) -> str:
        return f"{self.module}:{self.line} uses {self.target}"


def module_names(root: Path) -> dict[str, Path]:
    names: dict[str, Path] = {}
    for path in sorted((root / "gossamer").rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return names


def lines_for_types(tree: ast.Module) -> set[int]:
    """The lines of all imports under TYPE_CHECKING."""
    blocks = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    ]
    return {node.lineno for block in blocks for node in ast.walk(block) if isinstance(node, ast.stmt)}


def imports_of(module: str, path: Path, known: dict[str, Path]) -> Iterator[Use]:
    package = module if path.stem == "__init__" else module.rpartition(".")[0]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_types = lines_for_types(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Use(module, alias.name, node.lineno, node.lineno in for_types)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([base] if base else [])])
            for alias in node.names:
                submodule = f"{base}.{alias.name}"
                target = submodule if submodule in known else base
                yield Use(module, target, node.lineno, node.lineno in for_types)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in IO_BUILTINS:
            yield Use(module, f"{node.func.id}()", node.lineno)


def all_uses(root: Path) -> list[Use]:
    known = module_names(root)
    return [use for module, path in known.items() for use in imports_of(module, path, known)]


def part_of(module: str) -> str | None:
    """The part of the house that a module belongs to; None for the package itself and for foreign modules."""
    parts = module.split(".")
    return parts[1] if parts[0] == "gossamer" and len(parts) > 1 else None


def upward_imports(uses: list[Use]) -> list[str]:
    found = []
    for use in uses:
        above, below = part_of(use.module), part_of(use.target)
        if above is None or below is None or above == below:
            continue
        if LAYERS[below] >= LAYERS[above]:
            found.append(f"{use}: {above} is layer {LAYERS[above]}, {below} is layer {LAYERS[below]}")
    return found


def io_below_the_server(uses: list[Use], doors: dict[str, dict[str, str]]) -> list[str]:
    found = []
    for use in uses:
        part = part_of(use.module)
        if part is None or LAYERS[part] > HIGHEST_LAYER_WITHOUT_IO:
            continue
        top = use.target.partition(".")[0]
        does_io = top in IO_MODULES or use.target.removesuffix("()") in IO_BUILTINS
        if does_io and top not in doors.get(use.module, {}):
            found.append(str(use))
    return found


def cycles(uses: list[Use]) -> list[str]:
    graph: dict[str, set[str]] = {}
    for use in uses:
        if part_of(use.target) is not None and use.target != use.module and not use.type_only:
            graph.setdefault(use.module, set()).add(use.target)
    found: list[str] = []
    finished: set[str] = set()

    def visit(module: str, trail: list[str]) -> None:
        if module in trail:
            found.append(" -> ".join([*trail[trail.index(module) :], module]))
            return
        if module in finished:
            return
        for target in sorted(graph.get(module, ())):
            visit(target, [*trail, module])
        finished.add(module)

    for module in sorted(graph):
        visit(module, [])
    return found


@pytest.fixture(scope="module")
def uses() -> list[Use]:
    return all_uses(SOURCES)


def test_every_part_of_the_house_has_a_layer() -> None:
    parts = {part_of(module) for module in module_names(SOURCES)} - {None}
    assert parts <= set(LAYERS)


def test_imports_point_down_only(uses: list[Use]) -> None:
    assert upward_imports(uses) == []


def test_imports_make_no_cycles(uses: list[Use]) -> None:
    assert cycles(uses) == []


def test_nothing_below_the_server_does_io_outside_the_named_doors(uses: list[Use]) -> None:
    assert io_below_the_server(uses, DOORS) == []


def test_every_door_is_used(uses: list[Use]) -> None:
    used = {(use.module, use.target.partition(".")[0]) for use in uses}
    assert [(door, target) for door in DOORS for target in DOORS[door] if (door, target) not in used] == []


PLANTED = [
    ("upward", "datatypes/zsets.py", "from gossamer.keyspace import database"),
    ("upward", "datatypes/zsets.py", "def late() -> None:\n    import gossamer.engine.dispatch"),
    ("upward", "resp/parser.py", "from ..engine import dispatch"),
    ("upward", "cluster/gossip.py", "import gossamer.sentinel.monitor"),
    ("upward", "keyspace/database.py", "from gossamer.rdb import strings"),
    ("upward", "ops/monitor.py", "from gossamer.server.main import main"),
    ("io", "engine/dispatch.py", "import time"),
    ("io", "cluster/gossip.py", "from asyncio import sleep"),
    ("io", "cluster/gossip.py", "import os.path"),
    ("io", "rdb/reader.py", "def load(path: str) -> None:\n    open(path)"),
    ("cycle", "keyspace/expiry.py", "from gossamer.keyspace.database import Database"),
    ("cycle", "keyspace/expiry.py", "def late() -> None:\n    from gossamer.keyspace import database"),
    ("upward", "datatypes/zsets.py", "if TYPE_CHECKING:\n    from gossamer.keyspace import database"),
]


@pytest.mark.parametrize(("kind", "file", "source"), PLANTED, ids=lambda value: str(value).split("\n")[0])
def test_a_planted_violation_is_caught(tmp_path: Path, kind: str, file: str, source: str) -> None:
    house = {
        "keyspace/database.py": "from gossamer.keyspace.expiry import expire",
        "keyspace/expiry.py": "def expire() -> None: ...",
        "server/main.py": "import socket, time\nfrom gossamer.engine import dispatch",
        "engine/dispatch.py": "from gossamer.base import clock",
        "base/clock.py": "import time",
        "sentinel/monitor.py": "from gossamer import __version__",
        "rdb/strings.py": "",
        "engine/client.py": "if TYPE_CHECKING:\n    from gossamer.engine.engine import Engine",
        "engine/engine.py": "from gossamer.engine.client import Client",
    }

    def findings(files: dict[str, str]) -> dict[str, int]:
        for name, text in files.items():
            path = tmp_path / "gossamer" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        uses = all_uses(tmp_path)
        doors = {"gossamer.base.clock": {"time": "the clock"}}
        return {
            "upward": len(upward_imports(uses)),
            "io": len(io_below_the_server(uses, doors)),
            "cycle": len(cycles(uses)),
        }

    assert findings(house) == {"upward": 0, "io": 0, "cycle": 0}
    assert findings({**house, file: source}) == {"upward": 0, "io": 0, "cycle": 0, kind: 1}

"""Traps of compiled code that types and interpreted tests do not show.

mypyc believes what mypy has narrowed, and gives a name one type per function. Where either is wrong at run time the
compiled code raises TypeError; the same lines run well interpreted.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCES = Path(__file__).resolve().parent.parent / "src"

LEAVES = (ast.Return, ast.Continue, ast.Raise, ast.Break)


def shared_exception_names(function: ast.FunctionDef) -> Iterator[str]:
    """One name for exceptions of different types: it has the first one's type in all handlers."""
    types: dict[str, set[str]] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.ExceptHandler) and node.name and node.type:
            types.setdefault(node.name, set()).add(ast.unparse(node.type))
    for name, kinds in types.items():
        if len(kinds) > 1:
            yield f"{function.name}: {name} is {' and '.join(sorted(kinds))}"


def compared_with_none(test: ast.expr, operator: type[ast.cmpop], joined: type[ast.boolop]) -> Iterator[str]:
    """The attributes of which the test settles that they are, or are not, None."""
    parts = test.values if isinstance(test, ast.BoolOp) and isinstance(test.op, joined) else [test]
    for part in parts:
        if isinstance(part, ast.Compare) and isinstance(part.ops[0], operator):
            against = part.comparators[0]
            if (
                isinstance(part.left, ast.Attribute)
                and isinstance(against, ast.Constant)
                and against.value is None
            ):
                yield ast.unparse(part.left)


def loads(nodes: list[ast.stmt], attribute: str) -> bool:
    found = [node for statement in nodes for node in ast.walk(statement) if isinstance(node, ast.Attribute)]
    return any(isinstance(node.ctx, ast.Load) and ast.unparse(node) == attribute for node in found)


def settled_as_none(function: ast.FunctionDef) -> Iterator[str]:
    """An attribute that was compared with None, counts as None from there on, and is read once more.

    Every call in between may have changed it. Ask through a function (`is_blocked(client)`) instead.
    """
    for block in [
        node.body for node in ast.walk(function) if isinstance(node, ast.FunctionDef | ast.For | ast.While)
    ]:
        for index, statement in enumerate(block):
            if isinstance(statement, ast.If) and isinstance(statement.body[-1], LEAVES):
                for attribute in compared_with_none(statement.test, ast.IsNot, ast.Or):
                    if loads(block[index + 1 :], attribute):
                        yield f"{function.name}: {attribute} after line {statement.lineno}"
    for node in ast.walk(function):
        if isinstance(node, ast.If | ast.While):
            for attribute in compared_with_none(node.test, ast.Is, ast.And):
                if loads(node.body, attribute):
                    yield f"{function.name}: {attribute} under line {node.lineno}"


def traps(source: str) -> list[str]:
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    return [trap for f in functions for trap in [*shared_exception_names(f), *settled_as_none(f)]]


def test_the_sources_step_into_no_known_trap() -> None:
    found = {str(path): traps(path.read_text(encoding="utf-8")) for path in SOURCES.rglob("*.py")}
    assert {path: trap for path, trap in found.items() if trap} == {}


@pytest.mark.parametrize(
    "body",
    [
        "try: ...\n  except KeyError as e: ...\n  except ValueError as e: ...",
        "if a.b is not None: return\n  run()\n  print(a.b)",
        "if a.c or a.b is not None: return\n  while run():\n    if a.b is not None: break",
        "if a.b is None:\n    run()\n    print(a.b)",
    ],
)
def test_a_planted_trap_is_seen(body: str) -> None:
    assert len(traps(f"def f(a):\n  {body}\n")) == 1


def test_what_a_function_answers_is_asked_anew() -> None:
    assert traps("def f(a):\n  if waits(a): return\n  run()\n  if waits(a): return\n") == []

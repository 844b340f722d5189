"""What the documents promise is held by a test that exists: every `path::name` they cite is looked up."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CITED = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def names_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def missing(text: str) -> list[str]:
    found = []
    for path, name in CITED.findall(text):
        file = ROOT / path
        if not file.is_file():
            found.append(path)
        elif name and name not in names_in(file):
            found.append(f"{path}::{name}")
    return found


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_test_that_a_document_names_exists(document: Path) -> None:
    assert missing(document.read_text(encoding="utf-8")) == []


def test_a_test_that_does_not_exist_is_found_out() -> None:
    here = "tests/test_documents.py"
    assert missing(f"`{here}::missing` `{here}`") == []
    assert missing(f"`{here}::nothing` `tests/absent.py::name`") == [f"{here}::nothing", "tests/absent.py"]


def test_the_page_on_persistence_cites_a_test_for_every_row_and_promise() -> None:
    assert len(CITED.findall((ROOT / "docs/persistence.md").read_text(encoding="utf-8"))) >= 30

"""The report of conformance: its counting, and the page that it is written to."""

from pathlib import Path

import pytest

from conformance.arguments import Step
from conformance.differential import Outcome
from conformance.report import BEGIN, END, GROUPS, HEADER, Tally, section, written
from support.wire import Reply, parse_one

PAGE = Path(__file__).resolve().parents[2] / "docs" / "compatibility.md"


def outcome(*replies: bytes, content: dict[str, object] | None = None) -> Outcome:
    steps = [Step((b"GET", b"k"))] * len(replies)
    observed: list[list[list[Reply]]] = [[[parse_one(reply)]] for reply in replies]
    return Outcome(steps, observed, content or {})


def test_a_sequence_counts_up_to_its_first_difference() -> None:
    tally = Tally("strings")
    tally.add(outcome(b"+OK\r\n", b":1\r\n"), outcome(b"+OK\r\n", b":1\r\n"))
    assert (tally.cases, tally.equal, tally.unequal) == (3, 3, 0)
    tally.add(outcome(b"+OK\r\n", b":1\r\n", b":5\r\n"), outcome(b"+OK\r\n", b":2\r\n", b":5\r\n"))
    assert (tally.cases, tally.equal, tally.unequal) == (5, 4, 1)
    assert "b'GET k'" in next(iter(tally.reasons))


def test_different_content_is_a_case_of_its_own() -> None:
    tally = Tally("strings")
    tally.add(outcome(b"+OK\r\n", content={"k": 1}), outcome(b"+OK\r\n", content={"k": 2}))
    assert (tally.cases, tally.equal, tally.unequal) == (2, 1, 1)


def test_a_page_without_markers_is_refused() -> None:
    with pytest.raises(ValueError):
        written("no place", [])
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert written(page, ["new"]) == f"before\n{BEGIN}\n\nnew\n{END}\nafter\n"
    assert "old" not in written(page, section("server 1", "redis:7.0", [Tally("a")], ["X"], 1))


def test_the_page_has_a_row_for_every_group_beside_every_server() -> None:
    text = PAGE.read_text(encoding="utf-8")
    generated = text.partition(BEGIN)[2].partition(END)[0]
    servers = generated.split("### ")[1:]
    assert [part.split(" ")[0] for part in servers] == ["redis-server", "valkey-server"]
    for part in servers:
        assert HEADER in part
        rows = [line.split("|")[1:-1] for line in part.splitlines() if line.startswith("| ")][1:]
        assert {row[0].strip() for row in rows} <= set(GROUPS), "run make conformance"
        assert len(rows) >= 27
        for row in rows:
            _, cases, equal, by_rule, unequal = (int(cell) for cell in row[1:])
            assert cases == equal + unequal > 0
            assert by_rule <= equal

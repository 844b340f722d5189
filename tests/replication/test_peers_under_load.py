"""Whatever a primary is told, by commands of every group, a real server below it holds the same at the same offset."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from conformance.arguments import Group, Snippet
from conformance.differential import ProcessTarget, content_differences, content_of, prepare
from conformance.propagation import play
from conformance.propagation_groups import DATA_GROUPS
from conformance.test_differential import load
from support.servers import PEERS, ServerAbsent, ServerProcess, wait_until
from support.wire import WireClient

EXAMPLES = 8

pytestmark = pytest.mark.peers


class Pair:
    """A Gossamer primary and a real replica."""

    def __init__(self, compat: str) -> None:
        debug = ["--enable-debug-command", "yes"]
        self.replica = ServerProcess(PEERS[compat], debug)
        self.primary = ServerProcess(
            "gossamer", [*debug, "--compat", compat, "--repl-diskless-sync-delay", "0"]
        )
        self.is_valkey = compat.startswith("valkey")
        self.target = ProcessTarget(self.primary, compat)
        self.below = ProcessTarget(self.replica, compat)
        self.below.control().call("REPLICAOF", "127.0.0.1", str(self.primary.port))
        wait_until(lambda: b"master_link_status:up" in text_of(self.below.control()), 20, "the link")

    def close(self) -> None:
        self.primary.stop()
        self.replica.stop()

    def assert_equal(self, cut: bool) -> None:
        above, below = self.target.control(), self.below.control()
        if cut:
            below.call("CLIENT", "KILL", "TYPE", "master")
        wait_until(
            lambda: offset(above, b"master_repl_offset") == offset(below, b"slave_repl_offset"), 20, "offsets"
        )
        if above.call("DEBUG", "DIGEST") != below.call("DEBUG", "DIGEST"):
            story = content_differences(content_of(self.target), content_of(self.below))
            if story or not self.is_valkey:  # whose digest of the smallest scores is another
                raise AssertionError("\n".join(story) or "the digests differ and nothing that is read does")


def text_of(client: WireClient) -> bytes:
    value = client.call("INFO", "replication").value
    assert isinstance(value, bytes)
    return value


def offset(client: WireClient, name: bytes) -> bytes:
    return text_of(client).partition(name + b":")[2].partition(b"\r\n")[0]


@pytest.fixture(scope="module", params=["redis:7.0", "valkey:8.0"])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    try:
        both = Pair(request.param)
    except ServerAbsent as absent:
        pytest.skip(f"{absent} is absent")
    yield both
    both.close()


@pytest.mark.parametrize("name", DATA_GROUPS)
def test_digests_are_equal_at_equal_offsets(pair: Pair, name: str) -> None:
    group: Group = load(name)
    turns = [0]

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(group.sequences())
    def run(snippets: list[Snippet]) -> None:
        prepare(pair.target, group)
        for setting, value in (group.config or {}).items():
            pair.below.control().call("CONFIG", "SET", setting, value)
        pair.target.settle()
        play(pair.target, group, [step for part in snippets for step in part.steps])
        turns[0] += 1
        pair.assert_equal(cut=turns[0] == EXAMPLES)

    run()

"""What one server dumps the other restores: the same values, types and expiry, in both directions.

Encodings may change on the way: what was large and is small again is loaded as small.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, given, settings

from conformance.arguments import SEEDS, SMALL_ENCODINGS, Group, Snippet, command, key, seconds
from conformance.conftest import Pair
from conformance.differential import PACKED, Target, content_differences, content_of, prepare, show_steps

pytestmark = pytest.mark.peers

EXAMPLES = int(os.environ.get("GOSSAMER_EXAMPLES", "15"))
GROUP = Group("dump", [*SEEDS, command("EXPIRE", key, seconds)], seeds=False, config=SMALL_ENCODINGS)


def fill(target: Target, snippets: list[Snippet]) -> dict[bytes, tuple[bytes, int]]:
    """Run the sequence; each key's payload and time to live."""
    prepare(target, GROUP)
    control = target.control()
    control.pipeline([step.argv for part in snippets for step in part.steps])
    keys = control.call("KEYS", "*").plain()
    payloads = control.pipeline([("DUMP", name) for name in keys])
    lives = control.pipeline([("PTTL", name) for name in keys])
    return {
        name: (payload.plain(), life.plain())
        for name, payload, life in zip(keys, payloads, lives, strict=True)
    }


def restore(target: Target, dumped: dict[bytes, tuple[bytes, int]]) -> None:
    prepare(target, GROUP)
    for name, (payload, life) in dumped.items():
        reply = target.control().call("RESTORE", name, b"%d" % max(life, 0), payload)
        assert reply.raw == b"+OK\r\n", (name, payload, reply)


def values_of(target: Target) -> dict[str, object]:
    """The content without encodings, and so without the order that some of them keep."""
    values: dict[str, object] = {}
    for name, entry in content_of(target).items():
        assert isinstance(entry, tuple)
        kind, encoding, life, value = entry
        if kind == b"hash" and encoding in PACKED:
            value = list(zip(value[::2], value[1::2], strict=True))
        values[name] = (kind, b"", life, sorted(value) if kind in (b"hash", b"set") else value)
    return values


@pytest.mark.parametrize("direction", ["from Gossamer", "to Gossamer"])
@pytest.mark.parametrize("compat", ["redis:7.0", "valkey:8.0"])
def test_a_dumped_key_is_restored_by_the_other_server(compat: str, direction: str, targets: Pair) -> None:
    targets(compat)

    @settings(
        max_examples=EXAMPLES,
        derandomize="GOSSAMER_EXAMPLES" not in os.environ,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(GROUP.sequences())
    def run(snippets: list[Snippet]) -> None:
        ours, theirs = targets(compat)
        source, destination = (ours, theirs) if direction == "from Gossamer" else (theirs, ours)
        dumped = fill(source, snippets)
        content = values_of(source)
        restore(destination, dumped)
        wrong = content_differences(content, values_of(destination))
        steps = [step for part in snippets for step in part.steps]
        assert not wrong, "\n".join([show_steps(steps), *wrong])

    run()

"""Who is served when several clients wait for lists: short scenes, played on Gossamer and on the real server.

A scene is a list of steps `client: command`; client 0 never waits.
"""

import pytest

from conformance.arguments import Step
from conformance.conftest import Pair
from conformance.differential import Target, stepwise

pytestmark = pytest.mark.peers

SCENES = {
    "an earlier key of another type": ["1: BLPOP k1 k2 0", "0: SET k1 s", "0: RPUSH k2 x", "0: DEL k1 k2"],
    "a destination of another type": [
        "1: BLMOVE s d LEFT LEFT 0", "2: BLPOP s 0", "0: SET d x", "0: RPUSH s a", "0: LRANGE s 0 -1",
    ],
    "two keys filled by one transaction": [
        "1: BLPOP k1 k2 0", "0: MULTI", "0: RPUSH k2 a", "0: RPUSH k1 b", "0: EXEC", "0: LLEN k1", "0: LLEN k2",
    ],
    "filled and emptied by one transaction": [
        "1: BLPOP k 0", "0: MULTI", "0: RPUSH k a", "0: DEL k", "0: EXEC", "0: RPUSH k b",
    ],
    "filled twice by one transaction": [
        "1: BLPOP a 0", "0: MULTI", "0: RPUSH a 1", "0: LPOP a", "0: RPUSH a 2", "0: EXEC",
    ],
    "a string first": ["1: BLPOP k 0", "0: SET k a", "0: DEL k", "0: RPUSH k b c"],
    "a sorted set first": ["1: BLPOP k j 0", "0: ZADD k 1 a", "0: RPUSH j b c"],
    "a list where a sorted set is awaited": ["1: BZPOPMIN k j 0", "0: RPUSH k a", "0: ZADD j 1 b"],
    "the first to wait is the first to be served": [
        "1: BLPOP k 0", "2: BRPOP j k 0", "0: RPUSH k a b c", "0: LRANGE k 0 -1",
    ],
    "crosswise": ["1: BLPOP a b 0", "2: BLPOP b a 0", "0: MULTI", "0: RPUSH a 1", "0: RPUSH b 2", "0: EXEC"],
    "a chain": ["1: BLMOVE a b LEFT RIGHT 0", "2: BLPOP b 0", "0: RPUSH a x y", "0: LRANGE a 0 -1"],
    "a circle": ["1: BLMOVE a b LEFT RIGHT 0", "2: BLMOVE b a LEFT RIGHT 0", "0: RPUSH a x y", "0: LRANGE a 0 -1"],
    "onto itself": ["1: BLMOVE k k LEFT RIGHT 0", "0: RPUSH k 1 2 3", "0: LRANGE k 0 -1"],
    "the same key twice": ["1: BLPOP k k 0", "0: RPUSH k 1 2 3", "0: LRANGE k 0 -1"],
    "several at once": ["1: BLMPOP 0 2 j k LEFT COUNT 2", "0: RPUSH k 1 2 3", "0: LRANGE k 0 -1"],
    "a key renamed into place": ["0: RPUSH o 1 2", "1: BLPOP k 0", "0: RENAME o k", "0: LRANGE k 0 -1"],
    "a copy into place": ["0: RPUSH o 1 2", "1: BLPOP k 0", "0: COPY o k", "0: LRANGE k 0 -1"],
    "a moved key": ["1: SELECT 1", "1: BLPOP k 0", "0: RPUSH k 1 2", "0: MOVE k 1", "0: EXISTS k"],
    "a swapped database": ["1: SELECT 1", "1: BLPOP k 0", "0: RPUSH k 1 2", "0: SWAPDB 0 1", "0: EXISTS k"],
    "a sorted result": ["0: RPUSH o 2 1", "1: BLPOP k 0", "0: SORT o STORE k", "0: LRANGE k 0 -1"],
    "in a transaction nobody waits": [
        "1: MULTI", "1: BLPOP k 0", "1: BLMOVE k j LEFT LEFT 0", "1: RPUSH k 1", "1: BRPOP k 0", "1: EXEC",
    ],
    "what is sent while waiting": ["1: BLPOP k 0", "1: PING", "0: RPUSH k a"],
    "every event": [
        "0: CONFIG SET notify-keyspace-events KEA", "1: PSUBSCRIBE __key*", "2: BLMOVE a b LEFT LEFT 0",
        "0: RPUSH a x", "0: LMOVE b a LEFT LEFT", "0: LMOVE a a LEFT LEFT", "0: LPOP a", "0: RPUSH a 1 2 3",
        "0: LTRIM a 0 -1", "0: LTRIM a 5 6", "0: RPUSH a 1 1", "0: LSET a 0 x", "0: LREM a 0 9", "0: LREM a 0 1",
        "0: LMPOP 1 a LEFT", "0: RPUSH a 4", "0: LINSERT a BEFORE 4 3", "0: LINSERT a BEFORE 9 3",
        "0: BLMPOP 0 1 a LEFT COUNT 5", "0: CONFIG SET notify-keyspace-events ''",
    ],
}  # fmt: skip


def played(target: Target, steps: list[str], protocol: int) -> list[list[list[bytes]]]:
    """Per step and client, the raw replies."""
    target.control().call("FLUSHALL")
    clients = [target.connect() for _ in range(3)]
    try:
        for client in clients:
            client.call("HELLO", str(protocol))
        parsed = []
        for step in steps:
            number, _, words = step.partition(": ")
            parsed.append(Step(tuple(word.replace("''", "").encode() for word in words.split()), int(number)))
        observed = stepwise(target, clients, parsed)
        return [[[reply.raw for reply in replies] for replies in step] for step in observed]
    finally:
        for client in clients:
            client.close()
        target.settle()


@pytest.mark.parametrize("compat", ["redis:7.0", "valkey:8.0"])
@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("scene", SCENES)
def test_waiting_clients_are_served_as_by_the_real_server(
    scene: str, protocol: int, compat: str, targets: Pair
) -> None:
    ours, theirs = targets(compat)
    expected = played(theirs, SCENES[scene], protocol)
    observed = played(ours, SCENES[scene], protocol)
    for step, mine, other in zip(SCENES[scene], observed, expected, strict=True):
        assert mine == other, step


@pytest.mark.parametrize("compat", ["redis:7.0", "valkey:8.0"])
@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize(
    "command",
    [
        "BLPOP k 0.01",
        "BRPOP k j 0.01",
        "BLMOVE k j LEFT LEFT 0.01",
        "BRPOPLPUSH k j 0.01",
        "BLMPOP 0.01 1 k LEFT",
    ],
)
def test_a_wait_ends_as_with_the_real_server(command: str, protocol: int, compat: str, targets: Pair) -> None:
    replies = []
    for target in targets(compat):
        target.control().call("FLUSHALL")
        client = target.connect()
        client.call("HELLO", str(protocol))
        replies.append((client.call(*command.split()).raw, client.call("PING").raw))
        client.close()
    assert replies[0] == replies[1]

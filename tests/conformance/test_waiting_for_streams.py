"""Who is served when clients wait for streams: short scenes, played on Gossamer and on the real server.

A scene is a list of steps `client: command`; client 0 never waits.
"""

import pytest

from conformance.conftest import Pair
from conformance.test_waiting_for_lists import played
from support.wire import encode

pytestmark = pytest.mark.peers

GROUP = ["0: XGROUP CREATE k g $ MKSTREAM", "1: XREADGROUP GROUP g c BLOCK 0 STREAMS k >"]
NOT_REDIS_70 = {"the last entry", "the last entry of none yet"}

SCENES = {
    "new entries alone": ["0: XADD k 1-1 f v", "1: XREAD BLOCK 0 STREAMS k $", "0: XADD k 2-1 f v"],
    "several at once": [
        "1: XREAD BLOCK 0 STREAMS k 0", "0: MULTI", "0: XADD k 1-1 f v", "0: XADD k 2-1 f v", "0: EXEC",
    ],
    "no more than COUNT": [
        "1: XREAD COUNT 1 BLOCK 0 STREAMS k 0", "0: MULTI", "0: XADD k 1-1 f v", "0: XADD k 2-1 f v", "0: EXEC",
    ],
    "everybody who waits is served": [
        "1: XREAD BLOCK 0 STREAMS k 0", "2: XREAD BLOCK 0 STREAMS j k $ $", "0: XADD k 1-1 f v",
    ],
    "an id that is not reached yet": ["1: XREAD BLOCK 0 STREAMS k 5", "0: XADD k 1-1 f v", "0: XADD k 6-1 f v"],
    "an earlier key of another type": [
        "1: XREAD BLOCK 0 STREAMS k j 0 0", "0: SET k s", "0: XADD j 1-1 f v", "0: DEL k",
    ],
    "added and deleted by one transaction": [
        "1: XREAD BLOCK 0 STREAMS k 0", "0: MULTI", "0: XADD k 1-1 f v", "0: XDEL k 1-1", "0: EXEC",
        "0: XADD k 2-1 f v",
    ],
    "one of a group after the other": [
        *GROUP, "2: XREADGROUP GROUP g d BLOCK 0 STREAMS k >", "0: XADD k 1-1 f v", "0: XADD k 2-1 f v",
        "0: XPENDING k g",
    ],
    "two of a group and two entries": [
        *GROUP, "2: XREADGROUP GROUP g d BLOCK 0 STREAMS k >", "0: MULTI", "0: XADD k 1-1 f v", "0: XADD k 2-1 f v",
        "0: EXEC", "0: XPENDING k g",
    ],
    "without acknowledgement": [
        "0: XGROUP CREATE k g $ MKSTREAM", "1: XREADGROUP GROUP g c NOACK BLOCK 0 STREAMS k >", "0: XADD k 1-1 f v",
        "0: XPENDING k g", "0: XINFO GROUPS k",
    ],
    "history never waits": ["0: XGROUP CREATE k g $ MKSTREAM", "1: XREADGROUP GROUP g c BLOCK 0 STREAMS k 0"],
    "the stream is deleted": [*GROUP, "0: DEL k", "0: XADD k 1-1 f v"],
    "the stream becomes a string": [*GROUP, "0: SET k v"],
    "the stream is renamed away": [*GROUP, "0: RENAME k j"],
    "the stream is moved": [*GROUP, "0: MOVE k 1"],
    "the stream is replaced": [*GROUP, "0: XADD j 1-1 f v", "0: COPY j k REPLACE"],
    "the database is emptied": [*GROUP, "0: FLUSHDB"],
    "every database is emptied": [*GROUP, "0: FLUSHALL"],
    "databases are swapped": [*GROUP, "0: SWAPDB 0 1", "0: SELECT 1", "0: XADD k 1-1 f v"],
    "the group is removed": [*GROUP, "0: XGROUP DESTROY k g"],
    "another group is removed": [*GROUP, "0: XGROUP CREATE k h $", "0: XGROUP DESTROY k h", "0: XADD k 1-1 f v"],
    "the group is set back": ["0: XADD k 1-1 f v", *GROUP, "0: XGROUP SETID k g 0", "0: XADD k 2-1 f v"],
    "deleted and made again by one transaction": [
        *GROUP, "0: MULTI", "0: DEL k", "0: XADD k 1-1 f v", "0: EXEC",
    ],
    "who reads entries does not mind": ["1: XREAD BLOCK 0 STREAMS k 0", "0: SET k v", "0: DEL k", "0: XADD k 1-1 f v"],
    "a restored stream": [
        "0: XADD j 1-1 f v", "1: XREAD BLOCK 0 STREAMS k 0", "0: COPY j k", "1: XREAD BLOCK 0 STREAMS q 0",
        "0: RENAME j q",
    ],
    "the last entry": [
        "0: XADD k 1-1 f v", "0: XADD k 2-1 f v", "1: XREAD STREAMS k +", "1: XREAD BLOCK 0 STREAMS k +",
    ],
    "the last entry of none yet": [
        "1: XREAD BLOCK 0 STREAMS k +", "0: MULTI", "0: XADD k 1-1 f v", "0: XADD k 2-1 f v", "0: EXEC",
    ],
    "in a transaction nobody waits": [
        "1: MULTI", "1: XREAD BLOCK 0 STREAMS k $", "1: XADD k 1-1 f v", "1: XREAD BLOCK 0 STREAMS k $", "1: EXEC",
    ],
    "the same stream twice": ["1: XREAD BLOCK 0 STREAMS k k 0 0", "0: XADD k 1-1 f v"],
    "what is changed does not break a watch": [
        "0: XGROUP CREATE k g $ MKSTREAM", "1: WATCH k", "0: XGROUP SETID k g 0", "0: XGROUP CREATECONSUMER k g c",
        "0: XGROUP DELCONSUMER k g c", "0: XSETID k 5", "0: XGROUP DESTROY k g", "1: MULTI", "1: PING", "1: EXEC",
    ],
    "every event": [
        "0: CONFIG SET notify-keyspace-events KEA", "1: PSUBSCRIBE __key*", "0: XADD k 1-1 f v",
        "0: XADD k MAXLEN 1 2-1 f v", "0: XDEL k 1-1 2-1", "0: XTRIM k MAXLEN 0", "0: XADD k MAXLEN 0 3-1 f v",
        "0: XGROUP CREATE k g 0", "0: XGROUP SETID k g 0", "0: XADD k 4-1 f v", "0: XREADGROUP GROUP g c STREAMS k >",
        "0: XGROUP CREATECONSUMER k g d", "0: XCLAIM k g e 0 4-1", "0: XAUTOCLAIM k g e 0 0", "0: XACK k g 4-1",
        "0: XGROUP DELCONSUMER k g d", "0: XGROUP DESTROY k g", "0: XSETID k 9", "0: XGROUP CREATE j g 0 MKSTREAM",
        "0: CONFIG SET notify-keyspace-events ''",
    ],
    "every miss": [
        "0: CONFIG SET notify-keyspace-events KEAm", "1: PSUBSCRIBE __key*", "0: XREAD STREAMS k 0", "0: XRANGE k - +",
        "0: XACK k g 1", "0: XPENDING k g", "0: XINFO STREAM k", "0: XCLAIM k g c 0 1", "0: XAUTOCLAIM k g c 0 0",
        "0: XLEN k", "0: XDEL k 1-1", "0: XGROUP CREATE k g 0", "0: XREADGROUP GROUP g c STREAMS k >",
        "0: XTRIM k MAXLEN 0", "0: XADD k NOMKSTREAM 1-1 f v", "0: XSETID k 1-1", "0: XREVRANGE k + -",
        "0: CONFIG SET notify-keyspace-events ''",
    ],
}  # fmt: skip


@pytest.mark.parametrize("compat", ["redis:7.0", "valkey:8.0"])
@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("scene", SCENES)
def test_waiting_clients_are_served_as_by_the_real_server(
    scene: str, protocol: int, compat: str, targets: Pair
) -> None:
    if compat == "redis:7.0" and scene in NOT_REDIS_70:
        return  # there `+` is no id
    ours, theirs = targets(compat)
    expected = played(theirs, SCENES[scene], protocol)
    observed = played(ours, SCENES[scene], protocol)
    for step, mine, other in zip(SCENES[scene], observed, expected, strict=True):
        assert mine == other, step


@pytest.mark.parametrize("compat", ["redis:7.0", "valkey:8.0"])
@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize(
    "command", ["XREAD BLOCK 10 STREAMS k $", "XREADGROUP GROUP g c BLOCK 10 STREAMS k >"]
)
def test_a_wait_ends_as_with_the_real_server(command: str, protocol: int, compat: str, targets: Pair) -> None:
    replies = []
    for target in targets(compat):
        target.control().call("FLUSHALL")
        client = target.connect()
        client.call("HELLO", str(protocol))
        client.call("XGROUP", "CREATE", "k", "g", "$", "MKSTREAM")
        replies.append((client.call(*command.split()).raw, client.call("PING").raw))
        client.close()
    assert replies[0] == replies[1]


@pytest.mark.parametrize("compat", ["redis:7.0", "valkey:8.0"])
@pytest.mark.parametrize("command", ["XREAD BLOCK 0 STREAMS k 0", "XREADGROUP GROUP g c BLOCK 0 STREAMS k >"])
def test_who_waited_is_given_as_many_entries_as_by_the_real_server(
    command: str, compat: str, targets: Pair
) -> None:
    given = []
    for target in targets(compat):
        control = target.control()
        control.call("FLUSHALL")
        control.call("XGROUP", "CREATE", "k", "g", "$", "MKSTREAM")
        client = target.connect()
        client.send_raw(encode(command.split()))
        target.settle()
        added = [("XADD", "k", f"{number}-1", "f", "v") for number in range(1, 1100)]
        control.pipeline([("MULTI",), *added, ("EXEC",)])
        given.append(client.read().raw)
        client.close()
    assert given[0] == given[1]

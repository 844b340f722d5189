"""redis-py's Sentinel support finds the primary and the replicas, and follows a failover."""

from collections.abc import Iterator

import pytest

from support.sentinels import NAME, SentinelGroup
from support.servers import ServerAbsent, wait_until

redis_sentinel = pytest.importorskip("redis.sentinel")
redis_errors = pytest.importorskip("redis.exceptions")

pytestmark = pytest.mark.peers


@pytest.fixture
def group() -> Iterator[SentinelGroup]:
    try:
        made = SentinelGroup(("gossamer",), servers=("redis-server", "redis-server"), quorum=1)
    except ServerAbsent as absent:
        pytest.skip(str(absent))
    with made:
        made.wait_ready()
        yield made


def test_a_client_finds_the_primary_and_follows_it(group: SentinelGroup) -> None:
    places = [("127.0.0.1", each.port) for each in group.sentinels]
    finder = redis_sentinel.Sentinel(places, socket_timeout=2.0)
    old, new = (each.port for each in group.servers)
    assert finder.discover_master(NAME) == ("127.0.0.1", old)
    assert finder.discover_slaves(NAME) == [("127.0.0.1", new)]
    primary = finder.master_for(NAME)
    assert primary.set("key", "before")
    wait_until(lambda: finder.slave_for(NAME).get("key") == b"before", what="replication")
    states = finder.sentinels[0].sentinel_masters()
    assert states[NAME]["is_master"] and states[NAME]["port"] == old
    group.servers[0].crash()

    def writes() -> bool:
        try:
            return bool(primary.set("key", "after"))
        except redis_errors.RedisError:  # until the failover is through, no primary is found
            return False

    wait_until(writes, what="a write to the new primary")
    assert finder.discover_master(NAME) == ("127.0.0.1", new)
    assert primary.get("key") == b"after"

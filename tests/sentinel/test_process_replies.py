"""What a Sentinel answers, field by field, beside redis-sentinel over the same servers."""

from collections.abc import Iterator
from typing import Any

import pytest

from support.sentinels import NAME, SentinelGroup, SentinelProcess
from support.servers import PEERS, ServerAbsent, wait_until

pytestmark = pytest.mark.peers

OURS = "gossamer"
MOVING = {
    "link-pending-commands", "last-ping-sent", "last-ok-ping-reply", "last-ping-reply", "info-refresh",
    "role-reported-time", "slave-repl-offset", "last-hello-message",
}  # fmt: skip

SAME_REPLIES = [
    "PING", "PING hello", "ROLE", "GET a", "MULTI", "QUIT", "RESET", "EVAL x 0", "CONFIG GET port", "ACL WHOAMI",
    "ACL LIST", "ACL CAT", "PUBLISH a b", "PUBLISH __sentinel__:hello rubbish", "CLIENT GETNAME", "CLIENT NO-TOUCH on",
    "SUBSCRIBE", "SPUBLISH a b", "PUBSUB CHANNELS", "COMMAND COUNT", "SENTINEL", "SENTINEL FOO",
    "SENTINEL HELP x", "SENTINEL MASTER", "SENTINEL MASTER nobody", "SENTINEL MASTERS x", "SENTINEL REPLICAS nobody",
    "SENTINEL SLAVES nobody", "SENTINEL SENTINELS nobody", "SENTINEL CKQUORUM nobody", "SENTINEL CKQUORUM mymaster",
    "SENTINEL GET-MASTER-ADDR-BY-NAME nobody", "SENTINEL GET-MASTER-ADDR-BY-NAME mymaster",
    "SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 x 0 *", "SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 1 x *",
    "SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 1 0 *", "SENTINEL IS-MASTER-DOWN-BY-ADDR 127.0.0.1 {port} 0 *",
    "SENTINEL FAILOVER nobody", "SENTINEL REMOVE nobody", "SENTINEL RESET nobody*", "SENTINEL RESET",
    "SENTINEL PENDING-SCRIPTS", "SENTINEL INFO-CACHE nobody", "SENTINEL INFO-CACHE", "SENTINEL FLUSHCONFIG",
    "SENTINEL SIMULATE-FAILURE help", "SENTINEL SIMULATE-FAILURE foo", "SENTINEL DEBUG", "SENTINEL DEBUG foo 1",
    "SENTINEL DEBUG ping-period", "SENTINEL DEBUG ping-period x", "SENTINEL DEBUG ping-period 0",
    "SENTINEL CONFIG GET *", "SENTINEL CONFIG GET announce-*", "SENTINEL CONFIG GET nothing", "SENTINEL CONFIG FOO x",
    "SENTINEL CONFIG SET announce-port x", "SENTINEL CONFIG SET resolve-hostnames maybe",
    "SENTINEL CONFIG SET nothing x",
    "SENTINEL CONFIG SET announce-port 1", "SENTINEL CONFIG GET announce-port", "SENTINEL CONFIG SET announce-port 0",
    "SENTINEL CONFIG GET log* announce-ip announce-*", "SENTINEL CONFIG SET loglevel",
    "SENTINEL CONFIG SET loglevel foo", "SENTINEL CONFIG SET loglevel verbose announce-port 5",
    "SENTINEL CONFIG SET announce-port 6 nothing 1", "SENTINEL CONFIG SET announce-port 6 Announce-port 7",
    "SENTINEL CONFIG SET announce-port 6 announce-ip", "SENTINEL CONFIG SET loglevel notice announce-port 0",
    "SENTINEL CONFIG GET Loglevel", "SENTINEL CONFIG GET", "SENTINEL CONFIG", "SENTINEL PRIMARY nobody",
    "SENTINEL GET-PRIMARY-ADDR-BY-NAME mymaster", "SENTINEL PRIMARIES x",
    "SENTINEL SET nobody quorum 1", "SENTINEL SET mymaster quorum 0", "SENTINEL SET mymaster quorum x",
    "SENTINEL SET mymaster quorum", "SENTINEL SET mymaster nothing 1",
    "SENTINEL SET mymaster down-after-milliseconds 0",
    "SENTINEL SET mymaster failover-timeout -1", "SENTINEL SET mymaster parallel-syncs 0",
    "SENTINEL SET mymaster notification-script /bin/true", "SENTINEL SET mymaster client-reconfig-script /bin/true",
    "SENTINEL SET mymaster rename-command CONFIG", "SENTINEL SET mymaster auth-pass",
    "SENTINEL SET mymaster parallel-syncs 2 failover-timeout 5000 auth-user u auth-pass p quorum 2",
    "SENTINEL SET mymaster auth-pass \"\" auth-user \"\"", "SENTINEL SET mymaster master-reboot-down-after-period -1",
    "SENTINEL MONITOR a 127.0.0.1 1 0", "SENTINEL MONITOR a 127.0.0.1 x 1", "SENTINEL MONITOR a 127.0.0.1 1 x",
    "SENTINEL MONITOR a nosuch.invalid 1 1", "SENTINEL MONITOR mymaster 127.0.0.1 1 1",
    "SENTINEL MONITOR a 127.0.0.1 99999 1", "SENTINEL MONITOR a 127.0.0.1", "HELLO 4",
]  # fmt: skip


@pytest.fixture(scope="module", params=sorted(PEERS))
def pair(request: pytest.FixtureRequest) -> Iterator[SentinelGroup]:
    compat = request.param
    theirs = PEERS[compat]
    try:
        made = SentinelGroup((), servers=(theirs, theirs))
    except ServerAbsent as absent:
        pytest.skip(str(absent))
    with made:
        lines = [
            f"sentinel monitor {NAME} 127.0.0.1 {made.servers[0].port} 2",
            f"sentinel down-after-milliseconds {NAME} 500",
        ]
        made.add_sentinel(OURS, [*lines, f"compat {compat}"])
        made.add_sentinel(theirs, lines)
        made.wait_ready()
        yield made


def both(pair: SentinelGroup, *argv: str) -> tuple[Any, Any]:
    ours, theirs = (each.call(*argv) for each in pair.sentinels)
    return ours, theirs


def steady(fields: dict[str, str]) -> list[tuple[str, str]]:
    return [(name, "" if name in MOVING else value) for name, value in fields.items()]


@pytest.mark.parametrize("line", SAME_REPLIES)
def test_replies_are_the_same_to_the_byte(pair: SentinelGroup, line: str) -> None:
    words = [word.strip('"') for word in line.format(port=pair.servers[0].port).split()]
    ours, theirs = both(pair, *words)
    assert ours == theirs


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("what", ["MASTERS", "MASTER", "REPLICAS", "SLAVES"])
def test_instances_are_told_field_by_field(pair: SentinelGroup, what: str, protocol: int) -> None:
    wait_until(pair.is_ready)  # other tests may have made them connect anew
    words = ["SENTINEL", what] + ([] if what == "MASTERS" else [NAME])
    told: list[Any] = []
    for sentinel in pair.sentinels:
        with sentinel.client(protocol) as client:
            reply = client.call(*words)
        kinds = reply.kind + (b"" if what == "MASTER" else reply.items()[0].kind)
        fields = sentinel.state(*words) if what == "MASTER" else sentinel.states(*words)[0]
        told.append((kinds, steady(fields)))
    assert told[0] == told[1]


def test_other_sentinels_are_told_field_by_field(pair: SentinelGroup) -> None:
    wait_until(pair.is_ready)
    ours, theirs = (each.states("SENTINEL", "SENTINELS", NAME)[0] for each in pair.sentinels)
    for mine, other in ((ours, pair.sentinels[1]), (theirs, pair.sentinels[0])):
        assert (mine["port"], mine["flags"], mine["voted-leader"]) == (str(other.port), "sentinel", "?")
        own_id = other.call("SENTINEL", "MYID").value
        assert isinstance(own_id, bytes)
        assert mine["runid"] == mine["name"] == own_id.decode("ascii")
    own = {"port", "runid", "name"}
    assert [(n, v) for n, v in steady(ours) if n not in own] == [
        (n, v) for n, v in steady(theirs) if n not in own
    ]


def test_commands_are_the_same_with_all_that_command_tells(pair: SentinelGroup) -> None:
    ours, theirs = ({bytes(each[0]): each for each in both_of.plain()} for both_of in both(pair, "COMMAND"))
    assert sorted(ours) == sorted(theirs)
    for name, told in theirs.items():
        assert normal(ours[name]) == normal(told), name
    listed = [sorted(reply.plain()) for reply in both(pair, "COMMAND", "LIST")]
    assert listed[0] == listed[1]


def normal(entry: list[Any]) -> list[Any]:
    """A row of COMMAND without the order in which the real one's tables happen to be."""
    return [
        *entry[:2],
        sorted(entry[2]),
        *entry[3:6],
        sorted(entry[6]),
        entry[7],
        entry[8],
        sorted(map(normal, entry[9])),
    ]


def test_the_documentation_states_the_same_facts_in_other_words(pair: SentinelGroup) -> None:
    ours, theirs = (documented(reply) for reply in both(pair, "COMMAND", "DOCS"))
    assert sorted(ours) == sorted(theirs)
    for name, facts in theirs.items():
        mine = ours[name]
        assert mine.pop("summary").rstrip(".").lower() != facts.pop("summary").rstrip(".").lower()
        for prose in ("complexity", "history"):
            assert bool(mine.pop(prose, None)) == bool(facts.pop(prose, None)), name
        assert mine == facts, name


def documented(reply: Any) -> dict[str, dict[str, Any]]:
    """Full name -> what COMMAND DOCS tells, subcommands included."""
    found: dict[str, dict[str, Any]] = {}
    items = reply.plain()
    for name, told in zip(items[::2], items[1::2], strict=True):
        fields = dict(zip(told[::2], told[1::2], strict=True))
        inner = fields.pop(b"subcommands", [])
        for at in range(0, len(inner), 2):
            found[inner[at].decode()] = texts(dict(zip(inner[at + 1][::2], inner[at + 1][1::2], strict=True)))
        found[name.decode()] = texts(fields)
    return found


def texts(fields: dict[bytes, Any]) -> dict[str, Any]:
    return {
        name.decode(): value.decode() if isinstance(value, bytes) else value for name, value in fields.items()
    }


def test_hello_tells_a_sentinel(pair: SentinelGroup) -> None:
    ours, theirs = (dict(zip(r.plain()[::2], r.plain()[1::2], strict=True)) for r in both(pair, "HELLO"))
    ours.pop(b"id"), theirs.pop(b"id")
    assert ours[b"mode"] == b"sentinel"
    assert ours.keys() == theirs.keys()
    assert {**ours, b"version": b""} == {**theirs, b"version": b""}


@pytest.mark.parametrize("sections", ["", "sentinel", "all", "server clients", "keyspace", "SENTINEL stats"])
def test_info_has_the_sections_of_a_sentinel(pair: SentinelGroup, sections: str) -> None:
    ours, theirs = (info_of(each, sections) for each in pair.sentinels)
    assert list(ours) == list(theirs)
    for title, fields in theirs.items():
        assert set(fields) <= set(ours[title])
        if title == "# Sentinel":
            assert ours[title] == fields
    assert ours.get("# Server", {}).get("redis_mode", "sentinel") == "sentinel"


def info_of(sentinel: SentinelProcess, sections: str) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    title = ""
    for line in sentinel.call("INFO", *sections.split()).plain().decode().splitlines():
        if line.startswith("#"):
            title = line
            found[title] = {}
        elif line:
            name, _, value = line.partition(":")
            found[title][name] = value
    return found


def test_info_cache_holds_what_the_servers_said(pair: SentinelGroup) -> None:
    ours, theirs = (reply.plain() for reply in both(pair, "SENTINEL", "INFO-CACHE", NAME))
    assert [ours[0], len(ours[1])] == [theirs[0], len(theirs[1])]
    for mine, other in zip(ours[1], theirs[1], strict=True):
        assert mine[1].splitlines()[:3] == other[1].splitlines()[:3]
        assert 0 <= mine[0] < 60_000


def test_names_are_resolved_and_announced(pair: SentinelGroup) -> None:
    port = str(pair.servers[0].port)
    try:
        assert both(pair, "SENTINEL", "MONITOR", "named", "localhost", port, "1")[0].is_error
        for setting in ("resolve-hostnames", "announce-hostnames"):
            both(pair, "SENTINEL", "CONFIG", "SET", setting, "yes")
        told = both(pair, "SENTINEL", "MONITOR", "named", "localhost", port, "1")
        assert [reply.raw for reply in told] == [b"+OK\r\n"] * 2
        ours, theirs = both(pair, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", "named")
        assert ours.plain() == theirs.plain() == [b"localhost", port.encode()]
        both(pair, "SENTINEL", "CONFIG", "SET", "announce-hostnames", "no")
        ours, theirs = both(pair, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", "named")
        assert ours == theirs
        assert ours.plain()[0] != b"localhost"
    finally:
        both(pair, "SENTINEL", "REMOVE", "named")
        for setting in ("resolve-hostnames", "announce-hostnames"):
            both(pair, "SENTINEL", "CONFIG", "SET", setting, "no")


def test_events_have_the_same_texts(pair: SentinelGroup) -> None:
    heard: list[list[Any]] = []
    listeners = [each.client() for each in pair.sentinels]
    try:
        for listener in listeners:
            listener.call("PSUBSCRIBE", "+sdown", "-sdown", "+odown", "-odown", "*monitor", "+set")
        for each in pair.sentinels:
            each.call("SENTINEL", "MONITOR", "extra", "127.0.0.1", "1", "1")
            each.call("SENTINEL", "SET", "extra", "down-after-milliseconds", "300")
        wait_until(
            lambda: all("s_down" in e.state("SENTINEL", "MASTER", "extra")["flags"] for e in pair.sentinels)
        )
        wait_until(
            lambda: all("o_down" in e.state("SENTINEL", "MASTER", "extra")["flags"] for e in pair.sentinels)
        )
        for each in pair.sentinels:
            each.call("SENTINEL", "REMOVE", "extra")
        for listener in listeners:
            told: list[Any] = []
            while not told or told[-1][2] != b"-monitor":
                told.append(listener.read().plain())
            heard.append([each[2:] for each in told if each[0] == b"pmessage"])
    finally:
        for listener in listeners:
            listener.close()
    odown = [[event for event in each if event[0] == b"+odown"][:1] for each in heard]
    assert odown[0] == odown[1] != []
    rest = [sorted(event for event in each if not event[0].endswith(b"odown")) for each in heard]
    assert rest[0] == rest[1]

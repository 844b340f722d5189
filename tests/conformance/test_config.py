"""The configuration against real servers: names, defaults, accepted and refused values, files, rewriting."""

# ruff: noqa: E501 - tables of values read better in long lines

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gossamer.base.errors import ConfigError
from gossamer.engine.config import Config, ConfigDoor, SetError, pairs_of
from gossamer.engine.config_directives import directives_of
from gossamer.engine.config_file import FileError, Loader, UnreadableFile, rewritten, start
from gossamer.engine.config_kinds import BufferLimits, Choice, Directive, Number, YesNo
from support.servers import ServerAbsent, ServerProcess, program_of
from support.wire import WireClient

pytestmark = pytest.mark.peers

PEERS = {70: "redis-server", 80: "valkey-server"}
# What the installed servers do not have: our own, and those of COMMANDLOG.
OURS = {"compat", "rdb-version", "aof-checksum-enabled", "safe-start-guard"} | {
    f"commandlog-{name}"
    for name in (
        "execution-slower-than",
        "slow-execution-max-len",
        "request-larger-than",
        "large-request-max-len",
        "reply-larger-than",
        "large-reply-max-len",
    )
}
# What depends on how the peer was started, or on the machine.
SURROUNDINGS = {"port", "dir", "pidfile", "logfile", "save", "enable-protected-configs", "daemonize"}
# Setting these has effects on the peer that would disturb the comparison.
LIVE = {
    "bind", "port", "tls-port", "tls-replication", "tls-cluster", "maxclients", "requirepass", "dir", "dbfilename",
    "client-output-buffer-limit", "oom-score-adj", "appendonly", "watchdog-period", "locale-collate", "timeout",
    "maxmemory", "maxmemory-clients", "maxmemory-policy",
}  # fmt: skip


@pytest.fixture(scope="module", params=sorted(PEERS), ids=lambda compat: PEERS[compat])
def compat(request: pytest.FixtureRequest) -> int:
    number: int = request.param
    return number


@pytest.fixture(scope="module")
def peer(compat: int) -> Iterator[ServerProcess]:
    try:
        server = ServerProcess(PEERS[compat], ["--enable-protected-configs", "yes"])
    except ServerAbsent as absent:
        pytest.skip(f"{absent} is absent")
    with server:
        yield server


@pytest.fixture
def client(peer: ServerProcess) -> Iterator[WireClient]:
    with peer.client() as wire:
        yield wire


@pytest.fixture
def config(compat: int) -> Config:
    return Config(compat)


def theirs(client: WireClient, *patterns: str) -> dict[bytes, bytes]:
    items = client.call("CONFIG", "GET", *patterns).plain()
    return dict(zip(items[::2], items[1::2], strict=True))


def our_set(config: Config, *words: bytes) -> bytes:
    try:
        config.set(pairs_of([b"CONFIG", b"SET", *words]))
    except SetError as error:
        return b"-" + error.reply + b"\r\n"
    return b"+OK\r\n"


def test_names_are_those_of_the_peer(client: WireClient, config: Config) -> None:
    ours = {name.decode() for name, _ in config.get([b"*"])} - OURS
    assert ours == {name.decode() for name in theirs(client, "*")}


def test_defaults_are_those_of_the_peer(client: WireClient, config: Config) -> None:
    ours = {name: value for name, value in config.get([b"*"]) if name.decode() not in OURS | SURROUNDINGS}
    their = {name: value for name, value in theirs(client, "*").items() if name.decode() not in SURROUNDINGS}
    assert ours == their


def test_hidden_directives_are_shown_by_their_full_name(
    client: WireClient, config: Config, compat: int
) -> None:
    from gossamer.engine.config_kinds import HIDDEN

    names = [d.name for d in directives_of(compat) if d.flags & HIDDEN]
    assert names
    for name in names:
        assert theirs(client, name) == dict(config.get([name.encode()]))
        assert theirs(client, name[:-1] + "?") == dict(config.get([name[:-1].encode() + b"?"])) == {}


NUMBERS = ["", " 1", "+1", "01", "-0", "1e3", "0x10", "1_0", "abc", "1kb", "9223372036854775808"]
EDGES = [
    -1,
    0,
    1,
    2,
    10,
    64,
    65,
    99,
    100,
    101,
    500,
    777,
    1000,
    1001,
    65535,
    65536,
    2**31 - 1,
    2**31,
    2**32 - 1,
]
EDGES += [2**32, 2**63 - 1, -(2**31), -(2**31) - 1, -(2**63)]
SIZES = [
    "1",
    "1b",
    "1k",
    "1kB",
    "1M",
    "1mb",
    "2g",
    "1GB",
    "1tb",
    "",
    "mb",
    "1.5mb",
    "-1",
    "+1",
    " 1",
    "1 mb",
    "007",
]


def candidates(directive: Directive) -> list[str]:
    """Values that tell a kind and its bounds from others."""
    if isinstance(directive, YesNo):
        return ["yes", "no", "YES", "on", "1", "", "yes "]
    if isinstance(directive, Choice):
        words = [word.decode() for word, _ in directive.choices]
        return [*words, words[0].upper(), "", "nosuch", " ".join(words[:2]), " ".join(words[1:3])]
    if isinstance(directive, Number):
        return [*NUMBERS, *SIZES, *(str(edge) for edge in EDGES), "50%", "101%", "%", "-5%"]
    if isinstance(directive, BufferLimits):
        return []
    return [
        "",
        "a",
        "a b",
        "a/b",
        "a_b-c.d",
        "x" * 255,
        "x" * 256,
        "\x7f\u00e9",
        "::1",
        "1.2.3.4",
        "a:b",
        "{",
        "no one",
    ]


def test_every_directive_accepts_refuses_and_shows_what_the_peer_does(
    client: WireClient, config: Config, compat: int
) -> None:
    different = []
    for directive in directives_of(compat):
        if directive.name in OURS | LIVE:
            continue
        before = theirs(client, directive.name)
        for name in filter(None, (directive.name, "" if directive.alias in OURS else directive.alias)):
            for word in candidates(directive):
                their_reply = client.call("CONFIG", "SET", name, word).raw
                our_reply = our_set(config, name.encode(), word.encode())
                their_value = theirs(client, name)
                our_value = dict(config.get([name.encode()]))
                if directive.name in SURROUNDINGS:
                    their_value = our_value = {}
                if (their_reply, their_value) != (our_reply, our_value):
                    different.append((name, word, their_reply, our_reply, their_value, our_value))
        for name_bytes, value in before.items():
            client.call("CONFIG", "SET", name_bytes, value)
    assert different == []


SPECIAL_VALUES = {
    "save": ["", "1 2", "1 2 3", "1 2 3 4", "0 2", "1 -1", "1 0", "+1 01", "1 2x", " 1 2", "1  2", '""'],
    "client-output-buffer-limit": [
        "normal 0 0 0", "normal 1gb 2gb 60 pubsub 1 2 3", "normal 1 2", "foo 1 2 3", "normal 1 2 -3", "normal -1 2 3",
        "master 1 2 3", "replica 1 2 3", "slave 3 4 5 ", "SLAVE 9 9 9", "slave 1 2 3x", "slave 0 0 0 slave 5 5 5", "",
        "slave 1kb 0 +1", "slave 0 0 1kb", "slave 0x1 0 0",
    ],
    "oom-score-adj-values": ["1 2 3", "1 2", "3 2 1", "0 200 2001", "-2001 1 2", "a b c", "", "+5 6 7", "-5 -4 3"],
    "latency-tracking-info-percentiles": [
        "", "50", "50 99", "100 0", "101", "-1", "99.99999", "0.1 x", "50 50", '"50 99"', "1e1", "nan", "inf", "-0",
        "33.333333333333333", "1e-9", "99.9999999999", "0x10",
    ],
    "notify-keyspace-events": [
        "KEA", "AKE", "K", "g$lshzxet", "Kmx", "q", "A", "KEAmn", "KEd", "KEmn", "n", "KEAq", "g$lshzxetd", "",
    ],
    "shutdown-on-sigint": ["save", "save now", "save nosave", "nosave force now", "default now", "SAVE", "", "save save"],
    "maxmemory": ["5gb", "1073741825", "mb", "18446744073709551615", "-1", "1t", "0"],
    "maxmemory-clients": ["0", "100%", "100 %", "1gb", "-1", "101%", "0%", "50%", "x%", "5.5%", "%", "00050%", " 50%", "0"],
    "proc-title-template": [
        "{title}", "{foo}", "", "{title", "{title} {port} {config-file}", "abc", "{}", "}", "a{port}b", "{port}{",
        "{{port}}", "{title} {listen-addr}", " ", "{unixsocket}", "{tls-port}", "{{",
    ],
    "cluster-announce-hostname": ["a-b.c", "a_b", "", "a b"],
    "timeout": ["abc", "-1", "2147483648", "100000"],
    "maxmemory-policy": ["ALLKEYS-LRU", "noeviction allkeys-lru", "", "volatile-ttl", "noeviction"],
    "cluster-announce-human-nodename": ["a", "a;b", "a b", 'a"b', "a_b", *(f"x{chr(c)}" for c in range(33, 127))],
    "cluster-announce-client-ipv4": ["1.2.3.4", "1.2.3", "01.2.3.4", "256.1.1.1", "", "::1", "a"],
    "cluster-announce-client-ipv6": ["::1", "1.2.3.4", "fe80::1%eth0", "1::2::3", "", "::ffff:1.2.3.4", "12345::"],
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(SPECIAL_VALUES))
def test_special_values_are_taken_as_the_peer_takes_them(
    client: WireClient, config: Config, name: str
) -> None:
    for word in SPECIAL_VALUES[name]:
        their_reply = client.call("CONFIG", "SET", name, word).raw
        assert our_set(config, name.encode(), word.encode()) == their_reply, word
        if not theirs(client, name):
            continue
        assert dict(config.get([name.encode()])) == theirs(client, name), word


SETS = [
    ["maxmemory"],
    ["maxmemory", "1gb", "timeout"],
    ["maxmemory", "1gb", "maxmemory", "2gb"],
    ["MAXMEMORY", "1gb", "maxMemory", "2gb"],
    ["list-max-ziplist-size", "1", "list-max-listpack-size", "2"],
    ["foo", "1"],
    ["foo bar", "1"],
    ["hz", "20", "foo", "1"],
    ["HZ", "zz"],
    ["hz", "20", "timeout", "abc"],
    ["hz", "20", "daemonize", "no", "timeout", "abc"],
    ["foo", "no", "daemonize", "abc"],
    ["daemonize", "no", "foo", "abc"],
    ["slave-priority", "-4"],
    ["timeout", "1", "foo", "2", "timeout", "3"],
    ["timeout", "1", "timeout", "3", "foo", "2"],
    ["hz", "30", "list-compress-depth", "-1", "timeout", "x"],
    ["hz", "40", "list-compress-depth", "3", "lfu-log-factor", "7"],
    ["dir", "/nonexistent"],
    ["dbfilename", "a/b"],
    ["dbfilename", "other.rdb"],
]


@pytest.mark.parametrize("words", SETS, ids=" ".join)
def test_several_pairs_are_set_all_or_none(client: WireClient, config: Config, words: list[str]) -> None:
    from support.files import RealDoor

    config.door = RealDoor()
    reply = client.call("CONFIG", "SET", *words).raw
    if len(words) > 1:
        assert our_set(config, *[word.encode() for word in words]) == reply
    for name in words[::2]:
        if name.lower() not in ("dir", "foo", "foo bar", "maxmemory"):
            assert dict(config.get([name.encode()])) == theirs(client, name)
    client.call(
        "CONFIG", "SET", "hz", "10", "timeout", "0", "list-compress-depth", "0", "dbfilename", "dump.rdb"
    )


GETS = [
    ["slave-priority", "replica-p*", "SLAVE-PRIO*"],
    ["SLAVE-PRIORITY", "Slave-Priority", "lfu-decay-time", "lfu*"],
    ["[a-c]lient-out*", "rep*[i]*w*"],
    ["REPL-TIME*", "repl-tim[e"],
    [""],
    ["key-load-delay", "key-load*", "Key-load-delay"],
    ["*max*", "*max-*-entries", "nosuch"],
]


@pytest.mark.parametrize("patterns", GETS, ids=" ".join)
def test_patterns_find_what_the_peer_finds(client: WireClient, compat: int, patterns: list[str]) -> None:
    found = theirs(client, *patterns)
    ours = Config(compat).get([pattern.encode() for pattern in patterns])
    ours = [(name, value) for name, value in ours if name.decode() not in OURS]
    assert {name for name, _ in ours} == set(found)
    assert len(ours) == len(found)


# Files and command lines: the peer is started and told to listen nowhere, so that it ends at once.

FILES = [
    "foo bar\n", "timeout\n", "timeout 1 2\n", '\n\n# c\ntimeout "1\n', "TIMEOUT abc\n", "save\n", "save 1\n",
    "save 1 2 3\n", 'save ""\n', "save 900 1 300\n", "save x 1\n", "daemonize maybe\n", "port 99999\n",
    "list-max-ziplist-entries 1\n", "include nope.conf\n", "include nope*.conf\n", "dir /nope\n", "rename-command\n",
    "user\n", "user x +get\n", "user x on\nuser x off\n", "loadmodule\n", "sentinel monitor\n", "slaveof 1 2 3\n",
    "slaveof localhost 99999\n", "slaveof no one\n", "client-output-buffer-limit normal 1 2\n",
    "client-output-buffer-limit\n", "unixsocketperm 999\n", "unixsocketperm 1777\n", "unixsocketperm 0755\n", "bind\n",
    'bind ""\n', "bind 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n", "vm-enabled yes\n",
    "slaveof localhost 1\ncluster-enabled yes\n", "appendfilename a/b\n", 'appendfilename ""\n', "appenddirname a/b\n",
    'appenddirname ""\n', "dbfilename a/b\n", 'dbfilename ""\n', "maxclients 0\n", "proc-title-template {x}\n",
    "maxmemory 1zb\n", "timeout 5\r\n\ttimeout\t7 \nfoo\r\n", 'save "900 1"\n', 'shutdown-on-sigint "nosave now"\n',
    "activedefrag yes\n", "repl-backlog-size 0\n", '"timeout" "x"\n', "timeout 'x\n", "cluster-enabled no yes\n",
    "loglevel nothing\n", "tls-auth-clients maybe\n", "maxmemory-clients 101%\n", "oom-score-adj-values 1 2\n",
    "latency-tracking-info-percentiles 50 x\n", 'timeout "5" # comment\n', "#\n  # indented\n\n", "include\n", "dir\n",
    'dir ""\n', 'cluster-config-file ""\n', 'notify-keyspace-events "Q"\n', "syslog-facility local9\n", "supervised x\n",
    'masterauth "\\x41\\n"\n', "io-threads 129\n", "databases 0\n",
]  # fmt: skip

COMMAND_LINES = [
    ["--timeout", "x"], ["f.conf", "--timeout", "x"], ["nofile.conf"], ["--timeout"], ["--timeout", "1", "2"],
    ["--save", "1", "2", "3"], ["--save"], ["--save", "", "--timeout", "x"], ["--foo", "--bar"], ["timeout", "1"],
    ["-x"], ["f.conf", "-x"], ["f.conf", "timeout", "1"], ["--appendonly"], ["--loglevel", "verbose", "debug"],
    ["--loglevel", "verbose debug"], ["--timeout", "1 2"], ["--timeout", "1", "--"], ["--", "timeout", "1"],
    ["--timeout", '"5"x'], ["--shutdown-on-sigint", "nosave", "force"], ["--slowlog-max-len", "-5"], ["--save", "-5"],
    ["--save", "--timeout", "x"], ["--SAVE", "--timeout", "x"], ["--save", "3600", "1", "--timeout", "x"],
    ["--timeout x"], ["--save 1", "2", "--timeout", "x"], ["--masterauth", "--x", "--timeout", "y"],
    ["--masterauth", "-", "--timeout", "y"], ["--timeout", "5", "-", "--hz", "x"], ["--include", "inc.conf"],
    ["--masterauth", "a\nb", "--hz", "x"], ["--rename-command", "get", "", "--foo", "x"],
]  # fmt: skip

LISTEN_NOWHERE = ["--port", "0", "--unixsocket", ""]


def peer_complaint(program: str, arguments: list[str], directory: Path, stdin: bytes = b"") -> str:
    """What the peer says against its configuration; nothing where it is content."""
    result = subprocess.run(
        [*program_of(program), *arguments],
        cwd=directory,
        input=stdin,
        capture_output=True,
        timeout=20,
        check=False,
    )
    said = (result.stdout + result.stderr).decode("utf-8", "replace")
    if "*** FATAL CONFIG" in said:
        return said[said.index("\n*** FATAL") :]
    lines = [line.partition(" # ")[2] for line in said.split("\n") if "Fatal error, can't open" in line]
    return lines[0] if lines else ""


def our_complaint(arguments: list[str], directory: Path, compat: int, stdin: bytes = b"") -> str:
    from support.files import RealDoor

    here = os.getcwd()
    os.chdir(directory)
    try:
        config = start([os.fsencode(argument) for argument in arguments], RealDoor(stdin), compat)
        assert config.compat == compat
    except FileError as error:
        return error.report()
    except UnreadableFile as error:
        return str(error)
    finally:
        os.chdir(here)
    return ""


@pytest.mark.parametrize("content", FILES, ids=repr)
def test_a_file_is_refused_in_the_words_of_the_peer(compat: int, tmp_path: Path, content: str) -> None:
    (tmp_path / "f.conf").write_bytes(content.encode())
    arguments = ["f.conf", *LISTEN_NOWHERE]
    try:
        their = peer_complaint(PEERS[compat], arguments, tmp_path)
    except ServerAbsent as absent:
        pytest.skip(f"{absent} is absent")
    assert our_complaint(arguments, tmp_path, compat) == their


@pytest.mark.parametrize("arguments", COMMAND_LINES, ids=" ".join)
def test_a_command_line_is_refused_in_the_words_of_the_peer(
    compat: int, tmp_path: Path, arguments: list[str]
) -> None:
    (tmp_path / "f.conf").write_bytes(b"")
    (tmp_path / "inc.conf").write_bytes(b"timeout 1\nhz x\n")
    nowhere = [] if arguments[-1] in ("--", "-") else LISTEN_NOWHERE
    first = [] if nowhere else ["--port", "0", "--unixsocket", ""]
    try:
        their = peer_complaint(PEERS[compat], [*first, *arguments, *nowhere], tmp_path)
    except ServerAbsent as absent:
        pytest.skip(f"{absent} is absent")
    assert our_complaint([*first, *arguments, *nowhere], tmp_path, compat) == their


def test_standard_input_stands_between_the_file_and_the_options(compat: int, tmp_path: Path) -> None:
    (tmp_path / "f.conf").write_bytes(b"timeout 1\n")
    for arguments in (["-", "--port", "0"], ["f.conf", "--port", "0", "-"], ["f.conf", "-"], ["-"]):
        stdin = b"hz 5\nhz x\n"
        try:
            their = peer_complaint(PEERS[compat], arguments, tmp_path, stdin)
        except ServerAbsent as absent:
            pytest.skip(f"{absent} is absent")
        assert their != ""
        assert our_complaint(arguments, tmp_path, compat, stdin).replace("\n", " ") == their.replace(
            "\n", " "
        )


OLD_FILE = """# first comment
bind 127.0.0.1   -::1
save 900 1
save 300 10

# about timeout
timeout 5
TIMEOUT   6
slave-priority 77
maxmemory 1gb
maxmemory-clients 5%
hash-max-ziplist-entries 100


include inc.conf
client-output-buffer-limit normal 0 0 0
client-output-buffer-limit pubsub 32mb 8mb 60
rename-command get getx
loglevel notice
proto-max-bulk-len 512mb
notify-keyspace-events ""
oom-score-adj-values 0 200 800
shutdown-on-sigint "nosave now"
unixsocketperm 700
latency-tracking-info-percentiles 50 99 99.9
tls-cert-file ""
masterauth abc
slaveof 127.0.0.1 1
databases 16
   # indented comment
dir .
appendonly no
repl-backlog-size 1mb
stream-node-max-bytes 4kb
set-proc-title no
syslog-facility LOCAL0
"""

CHANGES = [
    [],
    [
        "timeout", "9", "maxmemory", "100000000", "slave-priority", "78", "save", "1 2 3 4", "maxmemory-clients", "0",
        "maxmemory-policy", "allkeys-lru", "list-max-listpack-size", "5", "proto-max-bulk-len", "1048577",
        "notify-keyspace-events", "KEA", "client-output-buffer-limit", "slave 1gb 5 6", "masteruser", "a'b\"c\x01",
        "appendfsync", "always", "tls-ciphers", "a b", "shutdown-on-sigterm", "save now",
        "latency-tracking-info-percentiles", "", "oom-score-adj-values", "1 2 3", "masterauth", "", "hz", "10",
    ],
    [
        "save", "", "maxmemory-policy", "noeviction", "timeout", "0", "client-output-buffer-limit",
        "slave 256mb 64mb 60", "masteruser", "", "latency-tracking-info-percentiles", "50",
    ],
    ["save", "3600 1 300 100 60 10000", "slowlog-log-slower-than", "-1", "activerehashing", "no"],
]  # fmt: skip


class OneFile(ConfigDoor):
    """The included file and no other."""

    def __init__(self, directory: bytes) -> None:
        self.directory = directory

    def current_directory(self) -> bytes:
        return self.directory

    def read_file(self, path: bytes) -> bytes:
        assert path == b"inc.conf"
        return b"lfu-log-factor 11\n"


def comparable(content: bytes) -> tuple[list[bytes], set[bytes]]:
    """The kept part, and what was added (the peer adds in the order of its hash table)."""
    lines = [line for line in content.split(b"\n") if not line.startswith((b"user ", b"port "))]
    ours = (b"latency-tracking-info-percentiles 50 99 99.9", b"compat redis:7.0", b"compat valkey:8.0")
    lines = [line for line in lines if line not in ours]
    mark = lines.index(b"# Generated by CONFIG REWRITE")
    kept = [line for line in lines[:mark] if line]
    return kept, {line for line in lines[mark:] if line}


def test_a_file_is_rewritten_as_the_peer_rewrites_it(compat: int, tmp_path: Path) -> None:
    path = tmp_path / "x.conf"
    path.write_text(OLD_FILE)
    (tmp_path / "inc.conf").write_text("lfu-log-factor 11\n")
    try:
        server = peer_with_file(PEERS[compat], path, tmp_path)
    except ServerAbsent as absent:
        pytest.skip(f"{absent} is absent")
    config = Config(compat, OneFile(os.fsencode(tmp_path)))
    Loader(config).load(OLD_FILE.encode() + b"\nlfu-decay-time 3 \nlist-compress-depth 0 ")
    content = OLD_FILE.encode()
    with server, server.client() as client:
        for changes in CHANGES:
            if changes:
                assert client.call("CONFIG", "SET", *changes).raw == b"+OK\r\n"
                assert our_set(config, *[word.encode() for word in changes]) == b"+OK\r\n"
            if "masteruser" in changes and "" in changes[-1:]:
                client.call("REPLICAOF", "NO", "ONE")
                config.put("replicaof", ())
            assert client.call("CONFIG", "REWRITE").raw == b"+OK\r\n"
            content = rewritten(config, content)
            assert comparable(content) == comparable(path.read_bytes())


def peer_with_file(program: str, path: Path, directory: Path) -> ServerProcess:
    class WithFile(ServerProcess):
        def command_line(self) -> list[str]:
            options = ["--port", str(self.port), "--lfu-decay-time", "3", "--list-compress-depth", "0"]
            return [*program_of(self.kind), str(path), *options]

    return WithFile(program, directory=directory)


def test_our_own_directives_are_checked() -> None:
    config = Config(72)
    with pytest.raises(ConfigError, match="immutable"):
        config.set([(b"compat", b"redis:7.0")])
    with pytest.raises(ConfigError, match="between 9 and 12"):
        config.set([(b"rdb-version", b"13")])

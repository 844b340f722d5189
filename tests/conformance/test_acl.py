"""Access rules against the real servers: every command of the table, categories, files, and clients that must go.

Random rules and requests are groups/acl.py's. Here: for each command a plausible request by its arity and key
specifications, tried as a user who may run it, who may not run it, who may not touch its keys (not at all, not for
reading, not for writing), and who may not use its channels.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from conformance.conftest import Pair
from conformance.differential import Target
from gossamer.commands.table import Command, KeySpec, build_table
from gossamer.engine.acl_rules import Catalogue, Selector
from gossamer.server.command_table import all_commands
from support.servers import PEERS, ServerAbsent, ServerProcess, wait_until
from support.wire import WireClient

pytestmark = pytest.mark.peers

COMPATS = {"redis:7.0": 70, "valkey:8.0": 80}
KEY = b"key:1"
CHANNEL = b"news"

# What no key specification tells: the rest of a request, behind its name.
WHOLE: dict[bytes, list[bytes]] = {
    b"eval": [b"return 1", b"1", KEY],
    b"eval_ro": [b"return 1", b"1", KEY],
    b"evalsha": [b"x", b"1", KEY],
    b"evalsha_ro": [b"x", b"1", KEY],
    b"fcall": [b"x", b"1", KEY],
    b"fcall_ro": [b"x", b"1", KEY],
    b"xread": [b"STREAMS", KEY, b"0"],
    b"xreadgroup": [b"GROUP", b"g", b"c", b"STREAMS", KEY, b"0"],
    b"sort": [KEY, b"STORE", b"key:2"],
    b"migrate": [b"h", b"1", b"", b"0", b"1", b"KEYS", KEY],
    b"lmpop": [b"1", KEY, b"LEFT"],
    b"zmpop": [b"1", KEY, b"MIN"],
    b"blmpop": [b"0", b"1", KEY, b"LEFT"],
    b"bzmpop": [b"0", b"1", KEY, b"MIN"],
    b"georadius": [KEY, b"1", b"1", b"1", b"m", b"STORE", b"key:2"],
    b"georadiusbymember": [KEY, b"m", b"1", b"m", b"STORE", b"key:2"],
    b"zunion": [b"1", KEY],
    b"zinter": [b"1", KEY],
    b"zdiff": [b"1", KEY],
    b"zintercard": [b"1", KEY],
    b"sintercard": [b"1", KEY],
    b"zunionstore": [b"key:2", b"1", KEY],
    b"zinterstore": [b"key:2", b"1", KEY],
    b"zdiffstore": [b"key:2", b"1", KEY],
    b"bitfield": [KEY, b"SET", b"u8", b"0", b"1"],
}
CHANNELS = frozenset(
    b"publish spublish subscribe psubscribe ssubscribe unsubscribe punsubscribe sunsubscribe".split()
)

# Who tries: the rules of each user; {command} stands for the name of the one that is tried.
USERS = {
    "allowed": "+@all ~* &*",
    "command-denied": "+@all -{command} ~* &*",
    "only-the-command": "+{command} ~* &*",
    "key-denied": "+@all ~other &*",
    "read-only-keys": "+@all %R~* &*",
    "write-only-keys": "+@all %W~* &*",
    "channel-denied": "+@all ~* resetchannels",
    "selector": "-@all resetchannels (+{command} ~key:* &news)",
}


def request(command: Command) -> list[bytes]:
    """A request that satisfies a command's arity, keys where its specifications look for them."""
    name = command.full_name.split(b"|")
    rest = WHOLE.get(command.full_name)
    if rest is not None:
        return name + rest
    argv = name + [b"1"] * max(0, abs(int(command.arity)) - len(name))
    for spec in command.keys:
        place(spec, argv)
    if command.full_name in CHANNELS:
        argv[1:] = [CHANNEL] * max(1, len(argv) - 1)
        if command.full_name.endswith(b"publish"):
            argv[2] = b"message"
    return argv


def place(spec: KeySpec, argv: list[bytes]) -> None:
    if spec.keyword or spec.unknown_begin or spec.unknown_find or spec.count_at >= 0:
        return
    last = len(argv) + spec.last if spec.last < 0 else spec.index + spec.last
    while len(argv) <= max(spec.index, last):
        argv.append(b"1")
    for position in range(spec.index, last + 1, spec.step):
        argv[position] = KEY


def common_table(compat: str, targets: Pair) -> dict[bytes, Command]:
    """The commands that both servers have; what only Gossamer has is nobody's to compare."""
    theirs = set(targets(compat)[1].control().call("COMMAND", "LIST").plain())
    table = build_table((all_commands(),), COMPATS[compat])
    for command in table.values():
        for name, subcommand in list(command.subcommands.items()):
            if subcommand.full_name not in theirs:
                del command.subcommands[name]
    return {name: command for name, command in table.items() if name in theirs}


def requestable(table: dict[bytes, Command]) -> Iterator[Command]:
    """Commands and subcommands that a request can mean."""
    for command in table.values():
        if not command.subcommands or command.function is not None:
            yield command
        yield from command.subcommands.values()


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("compat", COMPATS)
def test_each_command_is_allowed_and_denied_as_by_the_real_server(
    compat: str, user: str, targets: Pair
) -> None:
    unequal = []
    denied = 0
    everything = list(requestable(common_table(compat, targets)))
    replies: list[list[tuple[bytes, bytes]]] = []
    for target in targets(compat):
        replies.append([tried(target, user, command) for command in everything])
    for command, mine, other in zip(everything, *replies, strict=True):
        denied += other[0] != b"+OK\r\n"
        if mine != other:
            unequal.append(f"{b' '.join(request(command))!r}: {mine!r}, but the real one says {other!r}")
    assert not unequal, "\n".join(unequal)
    if user.endswith(("-denied", "-keys")):
        assert denied >= 5, "the requests are too tame to prove anything"


def tried(target: Target, user: str, command: Command) -> tuple[bytes, bytes]:
    """What ACL DRYRUN says of a request, and, if it is denied, what the request itself gets."""
    rules = USERS[user].format(command=command.full_name.decode()).split()
    argv = request(command)
    control = target.control()
    control.call("ACL", "DELUSER", "tried")
    assert not control.call("ACL", "SETUSER", "tried", "on", "nopass", *rules).is_error
    verdict = control.call("ACL", "DRYRUN", "tried", *argv)
    if verdict.raw == b"+OK\r\n" or verdict.is_error:
        return verdict.raw, b""
    client = target.connect()
    client.call("AUTH", "tried", "x")
    reply = client.call(*argv).raw
    client.close()
    return verdict.raw, reply


@pytest.mark.parametrize("compat", COMPATS)
def test_each_category_has_the_commands_of_the_real_one(compat: str, targets: Pair) -> None:
    ours, theirs = (target.control() for target in targets(compat))
    table = common_table(compat, targets)
    known = {command.full_name for command in requestable(table)} | set(table)
    assert ours.call("ACL", "CAT").raw == theirs.call("ACL", "CAT").raw
    for category in ours.call("ACL", "CAT").plain():
        mine = set(ours.call("ACL", "CAT", category).plain()) & known
        assert mine == set(theirs.call("ACL", "CAT", category).plain()) & known, category


@pytest.mark.parametrize("compat", COMPATS)
def test_categories_in_any_order_allow_what_they_allow_there(compat: str, targets: Pair) -> None:
    """Redis 7.0 makes its text anew from all commands that it has: what the texts mean is compared there."""
    ours, theirs = (target.control() for target in targets(compat))
    table = common_table(compat, targets)
    categories = [name.decode() for name in ours.call("ACL", "CAT").plain()]
    names = [command.full_name.decode() for command in requestable(table)]
    chance = random.Random(4)
    for _ in range(150):
        rules = []
        for _ in range(chance.randint(1, 6)):
            word = chance.choice(
                [
                    "@" + chance.choice(categories),
                    "@" + chance.choice(categories),
                    chance.choice(names),
                    "@all",
                ]
            )
            rules.append(chance.choice("+-") + word)
        texts = []
        for client in (ours, theirs):
            client.call("ACL", "DELUSER", "tried")
            assert not client.call("ACL", "SETUSER", "tried", *rules).is_error
            texts.append(client.call("ACL", "GETUSER", "tried").plain()[5])
        if compat != "redis:7.0":
            assert texts[0] == texts[1], rules
        assert allowed_by(texts[0], table) == allowed_by(texts[1], table), rules


def allowed_by(text: bytes, table: dict[bytes, Command]) -> set[bytes]:
    """The names of all commands of the table that a text of rules allows."""
    catalogue = Catalogue(80)
    catalogue.add(table)
    selector = Selector(catalogue, False)
    for word in text.split():
        if word[1:2] == b"@" or catalogue.find(word[1:]) is not None:
            selector.apply(word)
    return {command.full_name for command in selector.allowed}


# -- servers of their own --------------------------------------------------------------------------------------


def server_with(
    kind: str, compat: str, *arguments: str, files: dict[str, str] | None = None
) -> ServerProcess:
    program = "gossamer" if kind == "gossamer" else PEERS[compat]
    words = ["--compat", compat, *arguments] if kind == "gossamer" else [*arguments]
    try:
        server = ServerProcess(program, words, start=False)
    except ServerAbsent as absent:
        pytest.skip(f"{absent} is absent")
    for name, content in (files or {}).items():
        (server.directory / name).write_text(content)
    return server


BAD_FILE = """# no comments
user default on nopass ~* &* +@all

user bob on +nosuch +get foo bar +nosuch2
user bob on
nothing
user
   user\tcarol on
   user   carol    on
user "dave on" on
user erin on "~x y" (+get ~z) +@nosuch
user f%f on ( +get ) #zz
user g on ( +get  +foo ) #zz +nosuch >x
"""


@pytest.mark.parametrize("compat", COMPATS)
def test_a_server_does_not_start_with_a_bad_acl_file(compat: str) -> None:
    told = []
    for kind in ("gossamer", "peer"):
        server = server_with(kind, compat, "--aclfile", "users.acl", files={"users.acl": BAD_FILE})
        with pytest.raises(RuntimeError, match="ended with 1"):
            server.start()
        lines = [line for line in server.log_tail().splitlines() if "Aborting" in line]
        told.append([line.partition("Aborting")[2] for line in lines])
        server.stop()
    assert told[0] == told[1] != []


@pytest.mark.parametrize("compat", COMPATS)
@pytest.mark.parametrize(
    "lines",
    [
        "user alice on +nosuch ~x",
        "user alice on foo",
        "user alice on +get\nuser alice off",
        'user "al ice" on',
        "user alice (+get +nosuch)",
        "aclfile users.acl\nuser alice on",
        "aclfile nosuch.acl",
        "user",
    ],
)
def test_a_server_says_why_it_does_not_start_with_its_users(compat: str, lines: str) -> None:
    told = []
    for kind in ("gossamer", "peer"):
        server = server_with(kind, compat, "server.conf")
        (server.directory / "users.acl").write_text("user bob on\n")
        (server.directory / "server.conf").write_text(f"port {server.port}\n{lines}\n")
        server.arguments = [str(server.directory / "server.conf"), *server.arguments[:-1]]
        server.command_line = partial(command_line_with_file, server)  # type: ignore[method-assign]
        with pytest.raises(RuntimeError, match="ended with 1"):
            server.start()
        told.append(reason_of(server.log_tail()))
        server.stop()
    assert told[0] == told[1] != []


def command_line_with_file(server: ServerProcess) -> list[str]:
    """The configuration file stands first."""
    words = ServerProcess.command_line(server)
    path = next(word for word in words if word.endswith("server.conf"))
    words.remove(path)
    words.insert(3 if server.kind == "gossamer" and words[1] == "-m" else 1, path)
    if server.kind == "gossamer":
        words.remove(path)
        words.insert(words.index("serve") + 1, path)
    return words


def reason_of(log: str) -> list[str]:
    """The lines about users, without time and process."""
    lines = [re.sub(r"^\d+:\S+ .*? [*#.-] ", "", line) for line in log.splitlines()]
    telling = re.compile("ACL|user declaration|Bad directive|Configuring")
    return [line for line in lines if telling.search(line)]


USERS_FILE = """user default on nopass ~* &* +@all
user alice on #2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683 ~a* resetchannels &c* -@all +get +set
user bob off resetchannels +@all -debug (~b* resetchannels -@all +get)
"""


@pytest.mark.parametrize("compat", COMPATS)
def test_acl_save_and_load_keep_the_users(compat: str) -> None:
    saved: list[object] = []
    for kind in ("gossamer", "peer"):
        files = {"users.acl": USERS_FILE}
        with server_with(kind, compat, "--aclfile", "users.acl", files=files) as server:
            server.start()
            with server.client() as client:
                before = client.call("ACL", "LIST").plain()
                assert client.call("ACL", "SETUSER", "carol", "on", ">pw", "+ping").raw == b"+OK\r\n"
                assert client.call("ACL", "LOAD").raw == b"+OK\r\n"
                assert client.call("ACL", "LIST").plain() == before
                client.call("ACL", "SETUSER", "carol", "on", ">pw", "+ping")
                assert client.call("ACL", "SAVE").raw == b"+OK\r\n"
                assert client.call("ACL", "LOAD").raw == b"+OK\r\n"
                listed = client.call("ACL", "LIST").plain()
            text = (server.directory / "users.acl").read_bytes()
            assert text.splitlines() == listed
            saved.append(sorted(text.split()))
            (server.directory / "users.acl").write_text(BAD_FILE)
            with server.client() as client:
                error = client.call("ACL", "LOAD").raw
                assert client.call("ACL", "LIST").plain() == listed
            saved.append(error)
    assert saved[:2] == saved[2:]


def answers(client: WireClient) -> bool:
    return not client.call("PING").is_error


@pytest.mark.parametrize("compat", COMPATS)
def test_config_rewrite_writes_the_users(compat: str, tmp_path: Path) -> None:
    written = []
    for kind in ("gossamer", "peer"):
        server = server_with(kind, compat)
        path = server.directory / "server.conf"
        path.write_text("user bob on nopass +get ~b*\n# kept\nuser gone on\n")
        server.arguments = [str(path), *server.arguments]
        server.command_line = partial(command_line_with_file, server)  # type: ignore[method-assign]
        with server:
            server.start()
            with server.client() as client:
                client.call("ACL", "DELUSER", "gone")
                client.call("ACL", "SETUSER", "carol", "on", ">pw", "+ping", "(+get ~x)")
                assert client.call("CONFIG", "REWRITE").raw == b"+OK\r\n"
                listed = client.call("ACL", "LIST").plain()
            lines = path.read_bytes().splitlines()
            assert b"# kept" in lines
            assert [line for line in lines if line.startswith(b"user ")] == listed
            written.append(listed)
            server.terminate()
            server.start()
            with server.client() as client:
                written.append(client.call("ACL", "LIST").plain())
    assert written[:2] == written[2:]


@pytest.mark.parametrize("compat", COMPATS)
def test_clients_of_users_that_lost_their_rights_must_go(compat: str) -> None:
    """By SETUSER, DELUSER and LOAD: who is closed, who stays."""
    outcome = []
    files = {
        "users.acl": "user a on nopass &* +@all ~*\nuser b on nopass +@all &c*\nuser c on nopass +@all ~*\n"
    }
    for kind in ("gossamer", "peer"):
        with server_with(kind, compat, "--aclfile", "users.acl", files=files) as server:
            server.start()
            control = server.client()
            clients = {}
            for name in ("a", "b", "c", "a-c1", "b-c1", "a-c2*", "c-gone"):
                client = server.client()
                client.call("AUTH", name[0], "x")
                if name[2:] in ("c1",):
                    client.call("SUBSCRIBE", "c1")
                if name[2:] == "c2*":
                    client.call("PSUBSCRIBE", "c2*")
                clients[name] = client
            seen: list[object] = []
            for step in (
                ("ACL", "SETUSER", "a", "resetchannels", "&c*"),
                ("ACL", "SETUSER", "b", "resetchannels", "&d*"),
                ("ACL", "DELUSER", "c"),
                ("ACL", "LOAD"),
            ):
                if step[1] == "LOAD":
                    (server.directory / "users.acl").write_text("user a on nopass &* +@all\n")
                seen.append(control.call(*step).raw)
                wait_until(partial(answers, control))
                for client in clients.values():
                    client.available()
                seen.append(sorted(name for name, client in clients.items() if client.closed_by_server))
            outcome.append(seen)
    assert outcome[0] == outcome[1]


@pytest.mark.parametrize("compat", COMPATS)
def test_a_waiting_command_is_looked_at_again_when_it_could_go_on(compat: str, targets: Pair) -> None:
    """Since 7.2 a blocked client's rules count when it is served, before that when it began to wait."""
    outcome = []
    for target in targets(compat):
        control = target.control()
        control.call("DEL", "waited")
        control.call("ACL", "DELUSER", "tried")
        control.call("ACL", "SETUSER", "tried", "on", "nopass", "+@all", "~*")
        client = target.connect()
        client.call("AUTH", "tried", "x")
        client.send_raw(b"BLPOP waited 0\r\n")
        target.settle()
        control.call("ACL", "SETUSER", "tried", "-blpop")
        control.call("RPUSH", "waited", "x")
        outcome.append((client.read().raw, control.call("LLEN", "waited").raw))
        client.close()
    assert outcome[0] == outcome[1]


@pytest.mark.parametrize("compat", COMPATS)
def test_a_queued_command_is_looked_at_again_by_exec(compat: str, targets: Pair) -> None:
    outcome = []
    for target in targets(compat):
        control = target.control()
        control.call("ACL", "DELUSER", "tried")
        control.call("ACL", "SETUSER", "tried", "on", "nopass", "+@all", "~*", "&*")
        control.call("ACL", "LOG", "RESET")
        client = target.connect()
        client.call("AUTH", "tried", "x")
        for words in (["MULTI"], ["GET", "x"], ["MGET", "k1", "k2"], ["PUBLISH", "c1", "x"], ["PING"]):
            client.call(*words)
        control.call("ACL", "SETUSER", "tried", "-get", "resetkeys", "resetchannels")
        reply = client.call("EXEC").raw
        entries = [entry[:10] for entry in control.call("ACL", "LOG").plain()]
        outcome.append((reply, entries))
        client.close()
    assert outcome[0] == outcome[1]

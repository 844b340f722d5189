"""Users: passwords, selectors, ACL files, and what the rules mean for the clients of an engine."""

import hashlib

import pytest

from gossamer.base.clock import ManualClock
from gossamer.base.limits import Limits
from gossamer.base.rng import Random64
from gossamer.engine.acl import Acl, OpenParenthesis, WordRefused, merged_selectors
from gossamer.engine.acl_access import UsersRefused, start_users
from gossamer.engine.client import GATE_ACL, Client, ClientDoor
from gossamer.engine.config import Config, ConfigDoor
from gossamer.engine.config_commands import EngineSettings
from gossamer.engine.config_file import rewritten
from gossamer.engine.engine import Engine
from gossamer.server.command_table import all_commands

VERSIONS = (70, 72, 80)
PW = hashlib.sha256(b"pw").hexdigest().encode()


class Files(ConfigDoor):
    """Files in memory; `full` refuses to write."""

    def __init__(self) -> None:
        self.content: dict[bytes, bytes] = {}
        self.full = False

    def read_file(self, path: bytes) -> bytes:
        if path not in self.content:
            raise FileNotFoundError(2, "No such file or directory")
        return self.content[path]

    def replace_file(self, path: bytes, content: bytes) -> None:
        if self.full:
            raise OSError(28, "No space left on device")
        self.content[path] = content


class Door(ClientDoor):
    def __init__(self, engine: Engine, client: Client) -> None:
        self.engine = engine
        self.client = client

    def close(self) -> None:
        self.engine.free_client(self.client)


class World:
    """An engine and its clients, without sockets."""

    def __init__(self, compat: int = 72, users: str = "", aclfile: bytes = b"") -> None:
        limits = Limits()
        limits.compat = compat
        self.files = Files()
        self.config = Config(compat, self.files)
        for number, line in enumerate(users.splitlines(), 1):
            words = line.encode().split()
            self.config.users.append((number, line.encode(), words))
        self.config.values["aclfile"] = aclfile
        self.engine = Engine(ManualClock(1_700_000_000_000_000), limits, Random64(1), 16)
        EngineSettings(self.engine, self.config).connect()
        self.engine.add_commands(all_commands())

    def start(self) -> "World":
        start_users(self.engine, self.config)
        return self

    def client(self, user: bytes = b"", password: bytes = b"x") -> Client:
        client = self.engine.new_client()
        client.door = Door(self.engine, client)
        if user:
            assert self.ask(client, b"AUTH", user, password) == b"+OK\r\n"
        return client

    def ask(self, client: Client, *words: bytes) -> bytes:
        client.reply.out.truncate(0)
        self.engine.execute(client, list(words))
        return client.reply.out.getvalue()

    def line(self, client: Client, text: str) -> bytes:
        return self.ask(client, *text.encode().split())


def acl(compat: int = 72) -> Acl:
    return World(compat).engine.acl


# -- users ---------------------------------------------------------------------------------------------------


def test_a_password_is_kept_as_its_hash_only():
    user = acl().changed(b"u", [b"on", b">pw"])
    assert user.passwords == [PW]
    assert user.accepts(b"pw") and not user.accepts(b"PW") and not user.accepts(PW)
    assert b"pw" not in user.text().split()


def test_a_user_that_is_off_accepts_no_password():
    assert not acl().changed(b"u", [b"nopass"]).accepts(b"x")
    assert acl().changed(b"u", [b"nopass", b"on"]).accepts(b"x")


def test_a_password_ends_nopass_and_nopass_ends_passwords():
    user = acl().changed(b"u", [b"on", b"nopass", b">pw"])
    assert not user.accepts(b"x")
    user.apply(b"nopass")
    assert user.passwords == [] and user.accepts(b"x")
    user.apply(b"resetpass")
    assert not user.accepts(b"x")


def test_a_change_with_one_bad_rule_changes_nothing():
    world = World()
    client = world.client()
    world.line(client, "ACL SETUSER u on >pw +get ~a*")
    before = world.engine.acl.users[b"u"].text()
    with pytest.raises(WordRefused):
        world.engine.acl.changed(b"u", [b"+@all", b"+nosuch"])
    assert world.line(client, "ACL SETUSER u +@all +nosuch").startswith(
        b"-ERR Error in ACL SETUSER modifier '+nosuch'"
    )
    assert world.engine.acl.users[b"u"].text() == before


@pytest.mark.parametrize("compat", VERSIONS)
def test_a_line_declares_the_user_that_it_tells(compat):
    world = World(compat)
    client = world.client()
    world.line(client, "ACL SETUSER u on >pw +@read -get +config|get ~a* %R~b &c (+set ~d) (~* &* +@all)")
    line = world.engine.acl.lines()[1]
    assert line.startswith(b"user u on ")
    users, errors = world.engine.acl.parsed(b"f", line)
    assert errors == b""
    assert users[b"u"].text() == world.engine.acl.users[b"u"].text()


def test_a_request_needs_one_selector_that_allows_all_of_it():
    world = World()
    client = world.client()
    world.line(client, "ACL SETUSER u on nopass +get +copy ~a* (+set +copy ~b*)")
    user = world.client(b"u")
    assert world.line(user, "GET a1") == b"$-1\r\n"
    assert world.line(user, "SET b1 x") == b"+OK\r\n"
    assert world.line(user, "SET a1 x").startswith(b"-NOPERM")
    assert world.line(user, "GET b1").startswith(b"-NOPERM")
    assert world.line(user, "COPY a1 b1").startswith(b"-NOPERM")


def test_a_selector_may_span_words_but_must_end():
    assert merged_selectors([b"on", b"(+get", b"~a*)", b"off"], True) == [b"on", b"(+get ~a*)", b"off"]
    with pytest.raises(OpenParenthesis) as refused:
        merged_selectors([b"(+get", b"~a*"], True)
    assert refused.value.word == b"(+get"


def test_the_default_user_cannot_be_removed():
    world = World()
    assert (
        world.line(world.client(), "ACL DELUSER default") == b"-ERR The 'default' user cannot be removed\r\n"
    )


# -- what it costs -------------------------------------------------------------------------------------------


def test_a_user_who_may_do_everything_is_not_looked_at():
    world = World()
    admin = world.client()
    assert admin.gate == 0
    world.line(admin, "ACL SETUSER u on nopass +@all ~* &*")
    user = world.client(b"u")
    assert user.gate == 0
    world.line(admin, "ACL SETUSER u -debug")
    assert user.gate & GATE_ACL
    world.line(admin, "ACL SETUSER u (+@all ~* &*)")
    assert user.gate == 0


# -- clients -------------------------------------------------------------------------------------------------


def test_requirepass_is_the_default_users_password():
    world = World()
    early = world.client()
    world.line(early, "CONFIG SET requirepass pw")
    assert world.line(early, "PING") == b"+PONG\r\n"
    late = world.client()
    assert world.line(late, "PING") == b"-NOAUTH Authentication required.\r\n"
    assert world.line(late, "AUTH no").startswith(b"-WRONGPASS")
    assert world.line(late, "AUTH pw") == b"+OK\r\n"
    assert world.line(late, "PING") == b"+PONG\r\n"
    assert world.engine.acl.default.passwords == [PW]


def test_a_removed_user_takes_its_clients_along():
    world = World()
    admin = world.client()
    world.line(admin, "ACL SETUSER u on nopass +@all ~* &*")
    user, other = world.client(b"u"), world.client()
    assert world.line(admin, "ACL DELUSER u nobody") == b":1\r\n"
    assert user.closed and not other.closed
    world.line(admin, "ACL SETUSER u on nopass +@all")
    itself = world.client(b"u")
    assert world.line(itself, "ACL DELUSER u") == b":1\r\n"
    assert itself.close_after_reply


def test_a_subscriber_goes_when_its_channel_is_taken_away():
    world = World()
    admin = world.client()
    world.line(admin, "ACL SETUSER u on nopass +@all &news &old* ~*")
    listener, reader = world.client(b"u"), world.client(b"u")
    world.line(listener, "SUBSCRIBE news old1")
    world.line(admin, "ACL SETUSER u resetchannels &old? &n*")
    assert not listener.closed
    world.line(admin, "ACL SETUSER u resetchannels &n*")
    assert listener.closed and not reader.closed


def test_a_denied_command_breaks_the_transaction_that_is_queued():
    world = World()
    world.line(world.client(), "ACL SETUSER u on nopass +@all -set ~*")
    user = world.client(b"u")
    world.line(user, "MULTI")
    assert world.line(user, "SET a 1") == b"-NOPERM User u has no permissions to run the 'set' command\r\n"
    assert world.line(user, "EXEC").startswith(b"-EXECABORT")
    assert [(e.context, e.denied) for e in world.engine.acl.log.entries] == [(b"multi", b"set")]


def test_a_script_may_do_what_its_caller_may():
    pytest.importorskip("lupa")
    world = World()
    world.line(world.client(), "ACL SETUSER u on nopass +@all -set ~a*")
    user = world.client(b"u")
    assert world.ask(user, b"EVAL", b"return redis.call('get','a')", b"0") == b"$-1\r\n"
    assert b"ACL failure in script" in world.ask(user, b"EVAL", b"return redis.call('get','b')", b"0")
    assert b"ACL failure in script" in world.ask(user, b"EVAL", b"return redis.call('set','a',1)", b"0")
    answer = world.ask(
        user, b"EVAL", b"return redis.acl_check_cmd('get','a') and not redis.acl_check_cmd('get','b')", b"0"
    )
    assert answer == b":1\r\n"
    assert [(e.context, e.denied) for e in world.engine.acl.log.entries] == [(b"lua", b"set"), (b"lua", b"b")]


@pytest.mark.parametrize("name", ["SORT", "SORT_RO"])
def test_cve_2023_41053_sort_reads_no_key_that_is_out_of_bounds(name):
    world = World()
    admin = world.client()
    world.line(admin, "RPUSH a1 2 1")
    world.line(admin, "ACL SETUSER u on nopass +@all %R~* ~x")
    world.line(admin, "ACL SETUSER v on nopass +@all ~a*")
    reads_all, reads_some = world.client(b"u"), world.client(b"v")
    assert world.line(reads_all, f"{name} a1 BY w* GET v*").startswith(b"*2")
    assert world.line(reads_some, f"{name} a1").startswith(b"*2")
    assert b"BY option of SORT denied" in world.line(reads_some, f"{name} a1 BY w*")
    assert b"GET option of SORT denied" in world.line(reads_some, f"{name} a1 GET a*")


def test_neither_monitors_nor_the_slow_log_see_a_password():
    world = World()
    admin, monitor = world.client(), world.client()
    world.engine.slowlog.configure(0, 128)
    world.line(monitor, "MONITOR")
    for text in (
        "ACL SETUSER u on >secret +@all",
        "AUTH u secret",
        "HELLO 3 AUTH u secret",
        "AUTH default secret",
    ):
        monitor.reply.out.truncate(0)
        world.line(admin, text)
        assert b"secret" not in monitor.reply.out.getvalue()
    shown = [word for entry in world.engine.slowlog.entries for word in entry.argv]
    assert b"(redacted)" in shown
    assert not [word for word in shown if b"secret" in word]


# -- files ---------------------------------------------------------------------------------------------------


def test_users_of_the_configuration_are_there_at_the_start():
    world = World(users="user bob on nopass +get ~b*\nuser default on >pw +@all ~* &*").start()
    assert world.line(world.client(), "PING").startswith(b"-NOAUTH")
    assert world.line(world.client(b"bob"), "GET a").startswith(b"-NOPERM")
    assert b"user bob on nopass" in rewritten(world.config, b"")


@pytest.mark.parametrize("rules", ["+nosuch", "on +@nosuch"])
def test_a_user_with_an_unknown_command_ends_the_start(rules):
    with pytest.raises(UsersRefused, match="Error loading ACL rule"):
        World(users=f"user bob {rules}").start()


def test_a_server_has_users_in_its_configuration_or_in_a_file_but_not_both():
    with pytest.raises(UsersRefused, match="please define either an ACL file or"):
        World(users="user bob on", aclfile=b"users.acl").start()


def test_acl_load_takes_all_of_a_file_or_nothing():
    world = World(aclfile=b"users.acl")
    world.files.content[b"users.acl"] = b"user bob on nopass +@all\nuser eve on nopass +@all ~*\n"
    world.start()
    bob, eve, admin = world.client(b"bob"), world.client(b"eve"), world.client()
    world.files.content[b"users.acl"] = b"user bob on +nosuch\nuser eve off\n"
    assert world.line(admin, "ACL LOAD").startswith(
        b"-ERR users.acl:1: Error in applying operation '+nosuch'"
    )
    assert world.engine.acl.users[b"eve"].enabled
    world.files.content[b"users.acl"] = b"user bob on nopass +get\r\n"
    assert world.line(admin, "ACL LOAD") == b"+OK\r\n"
    assert eve.closed and not bob.closed and not admin.closed
    assert world.line(bob, "PING").startswith(b"-NOPERM")


def test_acl_save_that_fails_says_so():
    world = World(aclfile=b"users.acl")
    world.files.content[b"users.acl"] = b"user bob on nopass +@all\n"
    world.start()
    admin = world.client()
    world.files.full = True
    assert world.line(admin, "ACL SAVE").startswith(b"-ERR There was an error trying to save the ACLs.")
    assert world.files.content[b"users.acl"] == b"user bob on nopass +@all\n"
    world.files.full = False
    assert world.line(admin, "ACL SAVE") == b"+OK\r\n"
    assert world.files.content[b"users.acl"].splitlines() == world.engine.acl.lines()

"""sentinel.conf is read as redis-sentinel reads it, keeps what people wrote, and brings the state back."""

import contextlib
import random
import subprocess
from pathlib import Path

import pytest

from gossamer.engine.config import Config, ConfigDoor
from gossamer.engine.config_file import FileError, rewritten, start
from gossamer.sentinel.config import SentinelConfig
from gossamer.sentinel.doors import SentinelDoor
from gossamer.sentinel.instances import (
    FAILOVER_IN_PROGRESS,
    FAILOVER_RECONF_SLAVES,
    Address,
    SentinelState,
)
from support.servers import ServerAbsent, free_port, program_of, wait_until
from support.wire import WireClient

NOW_MS = 1_000_000

FULL = b"""# who wrote this
port 5000

sentinel monitor first 127.0.0.1 27380 2
sentinel monitor second 127.0.0.1 27381 1
# about first
sentinel auth-pass first "pa ss"
sentinel auth-user first us
sentinel down-after-milliseconds first 500
sentinel down-after-milliseconds second 30000
sentinel failover-timeout first 20000
sentinel parallel-syncs first 2
sentinel notification-script first /bin/true
sentinel client-reconfig-script second /bin/true
sentinel master-reboot-down-after-period first 5
sentinel rename-command first CONFIG GUESSME
sentinel known-slave first 127.0.0.1 27382
sentinel known-replica second 127.0.0.1 27383
sentinel known-sentinel first 127.0.0.1 27384 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
sentinel announce-ip 127.0.0.1
sentinel announce-port 777
sentinel resolve-hostnames yes
sentinel announce-hostnames no
sentinel sentinel-pass spw
sentinel sentinel-user su
sentinel deny-scripts-reconfig no
sentinel myid bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
sentinel current-epoch 5
sentinel config-epoch first 3
sentinel leader-epoch first 4
loglevel verbose
"""

REFUSALS = [
    ("sentinel foo", "Unrecognized sentinel configuration statement."),
    ("sentinel monitor a 127.0.0.1 1 2", "Duplicate master name."),
    ("sentinel monitor b 127.0.0.1 1 0", "Quorum must be 1 or greater."),
    ("sentinel monitor b nosuchhost.invalid 1 2", "Can't resolve instance hostname."),
    ("sentinel monitor b 127.0.0.1 99999 2", "Invalid port number."),
    ("sentinel monitor b", "Unrecognized sentinel configuration statement."),
    ("sentinel down-after-milliseconds z 5", "No such master with specified name."),
    ("sentinel down-after-milliseconds a 0", "negative or zero time parameter."),
    ("sentinel failover-timeout a -1", "negative or zero time parameter."),
    ("sentinel notification-script a /x", "Notification script seems non existing or non executable."),
    ("sentinel client-reconfig-script a /x", "Client reconfiguration script seems non existing or non executable."),
    ("sentinel myid abc", "Malformed Sentinel id in myid option."),
    ("sentinel known-replica a nosuch.invalid 1", "Can't resolve instance hostname."),
    ("sentinel known-replica a 127.0.0.1 99999", "Invalid port number."),
    ("sentinel resolve-hostnames x", "Please specify yes or no for the resolve-hostnames option."),
    ("sentinel announce-hostnames x", "Please specify yes or no for the announce-hostnames option."),
    ("sentinel deny-scripts-reconfig x", "Please specify yes or no for the deny-scripts-reconfig options."),
    ("sentinel master-reboot-down-after-period a -1", "negative time parameter."),
    ("sentinel rename-command a b", "Unrecognized sentinel configuration statement."),
    ("sentinel current-epoch", "Unrecognized sentinel configuration statement."),
    ("sentinel auth-pass z x", "No such master with specified name."),
]  # fmt: skip


class Resolver(SentinelDoor):
    """Addresses are their own; one name is known."""

    def resolve(self, host: bytes, names: bool) -> bytes | None:
        if host.replace(b".", b"").isdigit() or b":" in host:
            return host
        return b"10.0.0.9" if names and host == b"cache.example" else None


def read(text: bytes) -> tuple[Config, SentinelState]:
    state = SentinelState()
    lines = SentinelConfig(state)

    class OneFile(ConfigDoor):
        def read_file(self, path: bytes) -> bytes:
            return text

    config = start([b"/sentinel.conf"], OneFile(), sentinel_lines=lines)
    lines.load(Resolver(), lambda path: path == b"/bin/true", NOW_MS)
    return config, state


def rows_of(state: SentinelState) -> list[bytes]:
    return [line for _, line in SentinelConfig(state).rows()]


def test_every_directive_reaches_the_state() -> None:
    config, state = read(FULL)
    first, second = state.primaries[b"first"], state.primaries[b"second"]
    assert (first.address.ip, first.address.port, first.quorum) == (b"127.0.0.1", 27380, 2)
    assert (first.auth_user, first.auth_password) == (b"us", b"pa ss")
    assert (first.down_after_ms, first.failover_timeout_ms, first.parallel_syncs) == (500, 20000, 2)
    assert (first.notification_script, second.client_reconfig_script) == (b"/bin/true", b"/bin/true")
    assert first.primary_reboot_down_after_ms == 5
    assert first.renamed_commands == {b"CONFIG": b"GUESSME"}
    assert list(first.replicas) == [b"127.0.0.1:27382"]
    assert list(second.replicas) == [b"127.0.0.1:27383"]
    assert [each.run_id for each in first.sentinels.values()] == [b"a" * 40]
    assert (state.announce_ip, state.announce_port) == (b"127.0.0.1", 777)
    assert (state.resolve_hostnames, state.announce_hostnames, state.deny_scripts_reconfig) == (
        True,
        False,
        False,
    )
    assert (state.sentinel_user, state.sentinel_password) == (b"su", b"spw")
    assert (state.my_id, state.current_epoch) == (b"b" * 40, 5)
    assert (first.config_epoch, first.leader_epoch) == (3, 4)
    assert config.number("port") == 5000
    assert first.replicas[b"127.0.0.1:27382"].down_after_ms == 500


def test_a_sentinel_listens_on_its_own_port_unprotected_by_default() -> None:
    config, _ = read(b"")
    assert (config.number("port"), config.flag("protected-mode")) == (26379, False)


@pytest.mark.parametrize(("line", "reason"), REFUSALS)
def test_a_wrong_line_is_refused_with_its_number(line: str, reason: str) -> None:
    with pytest.raises(FileError) as refusal:
        read(b"port 1\nsentinel monitor a 127.0.0.1 27380 2\n" + line.encode())
    assert (refusal.value.number, refusal.value.line, refusal.value.reason) == (3, line.encode(), reason)


def test_the_order_of_lines_does_not_matter() -> None:
    _, state = read(b"sentinel known-replica a cache.example 1\nsentinel monitor a 127.0.0.1 1 1\n"
                    b"sentinel resolve-hostnames yes\n")  # fmt: skip
    assert state.primaries[b"a"].replicas[b"10.0.0.9:1"].address.hostname == b"cache.example"


def test_an_epoch_that_was_seen_has_begun() -> None:
    _, state = read(
        b"sentinel monitor a 127.0.0.1 1 1\nsentinel leader-epoch a 9\nsentinel current-epoch 2\n"
    )
    assert state.current_epoch == 9


def test_a_rewritten_file_keeps_lines_order_and_comments() -> None:
    config, state = read(FULL)
    content = rewritten(config, FULL)
    expected = FULL.replace(b"known-slave", b"known-replica")
    expected = expected.replace(b"sentinel down-after-milliseconds second 30000\n", b"\n")
    expected = expected.replace(b"sentinel announce-hostnames no\n", b"\n")
    expected = expected.replace(b"announce-ip 127.0.0.1", b'announce-ip "127.0.0.1"')
    generated = content.partition(b"# Generated by CONFIG REWRITE\n")
    assert generated[0].strip() == expected.strip()
    assert b"sentinel config-epoch second 0\nsentinel leader-epoch second 0\n" in generated[2]


def test_what_is_gone_leaves_the_file() -> None:
    config, state = read(FULL)
    del state.primaries[b"first"]
    content = rewritten(config, FULL)
    assert b" first " not in content
    assert b"sentinel monitor second 127.0.0.1 27381 1\n" in content


def test_lines_stay_with_their_primary() -> None:
    text = (
        b"sentinel monitor a 127.0.0.1 1 1\n# b\nsentinel monitor b 127.0.0.1 2 1\n"
        b"# replica of b\nsentinel known-replica b 127.0.0.1 9\n"
    )
    config, state = read(text + b"sentinel known-replica a 127.0.0.1 8\n")
    assert b"# replica of b\nsentinel known-replica b 127.0.0.1 9\n" in rewritten(config, text)


def test_a_switched_failover_names_the_new_primary_and_the_old_one_as_its_replica() -> None:
    _, state = read(FULL)
    first = state.primaries[b"first"]
    first.promoted_replica = first.replicas[b"127.0.0.1:27382"]
    first.flags |= FAILOVER_IN_PROGRESS
    assert b"sentinel monitor first 127.0.0.1 27380 2" in rows_of(state)
    first.failover_state = FAILOVER_RECONF_SLAVES
    assert b"sentinel monitor first 127.0.0.1 27382 2" in rows_of(state)
    assert b"sentinel known-replica first 127.0.0.1 27380" in rows_of(state)


def test_any_password_comes_back() -> None:
    chance = random.Random(7)
    for _ in range(300):
        _, state = read(b"sentinel monitor a 127.0.0.1 1 1\n")
        secret = bytes([chance.randrange(256) for _ in range(chance.randrange(1, 12))])
        state.primaries[b"a"].auth_password = state.sentinel_password = secret
        state.my_id = b"c" * 40
        _, again = read(b"\n".join(rows_of(state)))
        assert (again.primaries[b"a"].auth_password, again.sentinel_password) == (secret, secret)


def test_names_are_written_where_names_are_announced() -> None:
    _, state = read(b"sentinel resolve-hostnames yes\nsentinel announce-hostnames yes\n"
                    b"sentinel monitor a cache.example 1 1\n")  # fmt: skip
    assert b"sentinel monitor a cache.example 1 1" in rows_of(state)
    state.announce_hostnames = False
    assert b"sentinel monitor a 10.0.0.9 1 1" in rows_of(state)
    state.primaries[b"a"].address = Address(b"x", b"::1", 5)
    assert b"sentinel monitor a ::1 5 1" in rows_of(state)


@pytest.mark.peers
def test_redis_sentinel_starts_from_our_file_and_we_from_its(tmp_path: Path) -> None:
    try:
        program = program_of("redis-server")
    except ServerAbsent as absent:
        pytest.skip(str(absent))
    port = free_port()
    text = FULL.replace(b"port 5000", b"port %d" % port).replace(b'"pa ss"', b"pass")
    config, state = read(text)
    path = tmp_path / "sentinel.conf"
    path.write_bytes(rewritten(config, text))
    process = subprocess.Popen([*program, str(path), "--sentinel"], stdout=subprocess.DEVNULL, cwd=tmp_path)
    try:
        wait_until(lambda: process.poll() is not None or saves(port))
        assert process.poll() is None
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.wait()
    theirs = path.read_bytes()
    assert b"latency-tracking-info-percentiles" in theirs  # which we leave out at its default
    _, again = read(theirs)
    assert sorted(rows_of(again)) == sorted(rows_of(state))


def saves(port: int) -> bool:
    try:
        with WireClient(port, timeout_s=2.0) as client:
            return client.call("SENTINEL", "FLUSHCONFIG").raw == b"+OK\r\n"
    except OSError:
        return False

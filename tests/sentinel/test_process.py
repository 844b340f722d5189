"""Sentinels as processes, ours and redis-sentinels, over real servers: what they do together and what they say."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from support.sentinels import NAME, SentinelGroup, SentinelProcess
from support.servers import ServerAbsent, ServerProcess, free_port, wait_until

pytestmark = pytest.mark.peers

OURS, THEIRS, VALKEYS = "gossamer", "redis-server", "valkey-server"


@contextlib.contextmanager
def group(*sentinels: str, **options: Any) -> Iterator[SentinelGroup]:
    try:
        made = SentinelGroup(sentinels, **options)
    except ServerAbsent as absent:
        pytest.skip(str(absent))
    with made:
        made.wait_ready()
        yield made


def leaders_of(sentinels: Sequence[SentinelProcess]) -> list[str]:
    return [each.kind for each in sentinels if each.said("+elected-leader")]


def test_three_of_ours_fail_over_and_take_the_old_primary_back() -> None:
    with group(OURS, OURS, OURS) as made:
        old = made.servers[0]
        with old.client() as writer:
            writer.call("SET", "kept", "1")
            assert writer.call("WAIT", 2, 5000).value == 2
        with made.sentinels[1].client() as listener:
            listener.call("PSUBSCRIBE", "*")
            old.crash()
            port = made.wait_switch(old.port)
            made.wait_following(port)
            with made.server_at(port).client() as client:
                assert client.call("GET", "kept").value == b"1"
            old.start()
            made.wait_following(port)
            with old.client() as client:
                assert client.call("ROLE").plain()[:3] == [b"slave", b"127.0.0.1", port]
            wait_until(
                lambda: any(each.said("+convert-to-slave") for each in made.sentinels), what="a demotion"
            )
            heard = [reply.plain()[2:] for reply in listener.available()]
        # The others may hear of the new primary before they have agreed on the end of the old one.
        assert all(any(each.said(event) for each in made.sentinels) for event in ("+sdown", "+odown"))
        switch = next(text for channel, text in heard if channel == b"+switch-master")
        assert switch == f"{NAME} 127.0.0.1 {old.port} 127.0.0.1 {port}".encode()
        assert len({each.state("SENTINEL", "MASTER", NAME)["config-epoch"] for each in made.sentinels}) == 1


@pytest.mark.parametrize("leader", [OURS, THEIRS, VALKEYS])
def test_a_mixed_quorum_fails_over_whoever_leads(leader: str) -> None:
    # With a quorum of one the Sentinel that is first to find the primary down asks for the votes of the others.
    kinds = (leader, *{OURS: (THEIRS, VALKEYS), THEIRS: (OURS, OURS), VALKEYS: (OURS, THEIRS)}[leader])
    with group(*kinds, quorum=1, down_after_ms=(500, 4000, 4000)) as made:
        old = made.servers[0]
        old.crash()
        port = made.wait_switch(old.port)
        made.wait_following(port)
        assert leaders_of(made.sentinels) == [leader]
        epochs = {each.state("SENTINEL", "MASTER", NAME)["config-epoch"] for each in made.sentinels}
        assert len(epochs) == 1
        assert all(
            each.said("+config-update-from") for each in made.sentinels if each is not made.sentinels[0]
        )


@pytest.mark.parametrize("watchers", [(OURS, THEIRS), (THEIRS, THEIRS)])
def test_servers_of_ours_are_failed_over(watchers: tuple[str, str]) -> None:
    with group(*watchers, servers=(OURS, OURS, THEIRS)) as made:
        old = made.servers[0]
        with old.client() as writer:
            writer.call("SET", "kept", "1")
            assert writer.call("WAIT", 2, 5000).value == 2
        old.crash()
        port = made.wait_switch(old.port)
        made.wait_following(port)
        with made.server_at(port).client() as client:
            assert client.call("GET", "kept").value == b"1"
        old.start()
        made.wait_following(port)


def test_no_failover_without_a_majority() -> None:
    with group(OURS, OURS, THEIRS, quorum=1) as made:
        made.sentinels[1].crash()
        made.sentinels[2].crash()
        made.servers[0].crash()
        wait_until(lambda: made.sentinels[0].said("+try-failover"), what="an attempt")
        with pytest.raises(AssertionError):
            wait_until(lambda: made.sentinels[0].said("+elected-leader"), 2.0)
        assert made.sentinels[0].primary_port() == made.servers[0].port
        made.sentinels[1].start()  # what it knew stands in its file
        made.wait_switch(made.servers[0].port, made.sentinels[:2])


def test_a_killed_sentinel_comes_back_as_the_same_with_what_it_promised() -> None:
    with group(OURS, quorum=1, servers=(THEIRS, THEIRS)) as made:
        sentinel = made.sentinels[0]
        identity = sentinel.call("SENTINEL", "MYID").value
        assert sentinel.call("SENTINEL", "FAILOVER", NAME).raw == b"+OK\r\n"
        port = made.wait_switch(made.servers[0].port)
        for kind in (OURS, THEIRS, OURS):  # each goes on from the file that the one before it left
            sentinel.crash()
            sentinel.kind = kind
            sentinel.start()
            assert sentinel.call("SENTINEL", "MYID").value == identity
            state = sentinel.state("SENTINEL", "MASTER", NAME)
            assert (state["port"], state["config-epoch"], state["num-slaves"]) == (str(port), "1", "1")
            assert sentinel.call("SENTINEL", "FLUSHCONFIG").raw == b"+OK\r\n"


def test_a_simulated_failure_ends_the_process() -> None:
    with group(OURS, quorum=1, servers=(THEIRS, THEIRS)) as made:
        sentinel = made.sentinels[0]
        assert sentinel.call("SENTINEL", "SIMULATE-FAILURE", "crash-after-election").raw == b"+OK\r\n"
        with sentinel.client() as client:
            client.send("SENTINEL", "FAILOVER", NAME)
            process = sentinel.process
            assert process is not None
            assert process.wait(10.0) == 99
        assert sentinel.said("+elected-leader")
        assert not sentinel.said("+promoted-slave")


def test_scripts_hear_of_events_and_of_the_new_address(tmp_path: Path) -> None:
    told = tmp_path / "told"
    script = tmp_path / "script"
    script.write_text(f'#!/bin/sh\necho "$@" >> {told}\n[ "$1" != "+sdown" ] || [ -e {told}.again ] || ' + (
        f"{{ touch {told}.again; exit 1; }}\n"
    ))  # fmt: skip
    os.chmod(script, 0o755)
    lines = (f"notification-script {NAME} {script}", f"client-reconfig-script {NAME} {script}")
    with group(OURS, quorum=1, servers=(THEIRS, THEIRS), lines=lines) as made:
        made.sentinels[0].call("SENTINEL", "DEBUG", "script-retry-delay", "100")
        old = made.servers[0].port
        made.servers[0].crash()
        port = made.wait_switch(old)
        wait_until(lambda: told.exists() and "+switch-master" in told.read_text(), what="the scripts")
        wait_until(
            lambda: told.read_text().count(f"+sdown master {NAME} 127.0.0.1 {old}") == 2, what="a repetition"
        )
        assert f"{NAME} leader start 127.0.0.1 {old} 127.0.0.1 {port}" in told.read_text()
        wait_until(
            lambda: made.sentinels[0].call("SENTINEL", "PENDING-SCRIPTS").plain() == [], what="the queue"
        )


def test_passwords_and_users_of_servers_and_of_sentinels() -> None:
    servers = ("--requirepass", "server secret", "--masterauth", "server secret")
    users = (
        "user default off",
        "user watcher on >between allchannels +@all",
        "sentinel sentinel-user watcher",
        "sentinel sentinel-pass between",
    )
    try:
        made = SentinelGroup(
            (OURS, OURS, THEIRS), servers=(THEIRS, THEIRS), server_arguments=servers, sentinel_lines=users,
            lines=(f'auth-pass {NAME} "server secret"',),
        )  # fmt: skip
    except ServerAbsent as absent:
        pytest.skip(str(absent))
    with made:
        for sentinel in made.sentinels:
            sentinel.credentials = ("watcher", "between")
        with made.sentinels[0].client() as stranger:
            assert stranger.call("SENTINEL", "MASTERS").raw == b"-NOAUTH Authentication required.\r\n"
        made.wait_ready()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is absent")
def test_ours_and_theirs_watch_over_tls(tmp_path: Path) -> None:
    make_certificate(tmp_path)
    tls = [
        "tls-replication yes", "tls-auth-clients yes", f"tls-cert-file {tmp_path}/a.crt",
        f"tls-key-file {tmp_path}/a.key", f"tls-ca-cert-file {tmp_path}/a.crt",
    ]  # fmt: skip
    arguments = [word for line in tls for word in ("--" + line).split()]
    made = SentinelGroup((), servers=())
    with made:
        try:
            ports = [free_port(), free_port()]
            made.server_arguments = [*arguments, "--tls-port", str(ports[0])]
            made.add_server(THEIRS)
            replica = ["--replicaof", "127.0.0.1", str(ports[0]), "--tls-port", str(ports[1])]
            made.servers.append(ServerProcess(THEIRS, [*arguments, *replica]))
        except ServerAbsent as absent:
            pytest.skip(str(absent))
        for kind in (OURS, THEIRS):
            own = [f"monitor {NAME} 127.0.0.1 {ports[0]} 2", f"down-after-milliseconds {NAME} 500"]
            made.add_sentinel(kind, [*tls, f"tls-port {free_port()}", *(f"sentinel {line}" for line in own)])
        made.wait_ready()
        made.servers[0].crash()
        assert made.wait_switch(ports[0]) == ports[1]


def make_certificate(directory: Path) -> None:
    """One that signs itself, and is its own authority."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", "a.key", "-out", "a.crt", "-days", "2", "-subj", "/CN=localhost"],
        cwd=directory, check=True, capture_output=True,
    )  # fmt: skip

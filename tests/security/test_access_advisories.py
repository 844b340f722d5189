"""Published flaws of who may do what, and of connections: an attack of each kind, and what must come of it."""

import os
import socket
import stat
from pathlib import Path
from typing import Any

import pytest

from gossamer.base.errors import ProtocolError
from gossamer.base.limits import Limits
from gossamer.cli.main import main
from gossamer.resp.parser import RequestParser
from gossamer.server import listener
from support.engines import EngineClient, new_client, new_engine
from support.servers import ServerProcess


def test_cve_2021_32672() -> None:
    """The debugger of scripts read beyond what it was sent: it is not there."""
    client = new_client()
    for words in (["YES"], ["SYNC"], ["NO", "x"], [b"\xff" * 1000]):
        assert client.call("SCRIPT", "DEBUG", *words).raw
    assert client.answer("EVAL", "return 1", "0") == 1


@pytest.mark.parametrize(
    "request_bytes", [b"*1048576\r\n", b"*11\r\n", b"*1\r\n$536870912\r\n", b"*1\r\n$16385\r\n"]
)
def test_cve_2021_32675(request_bytes: bytes) -> None:
    """Before it had logged in, a client could announce arguments by the million, and memory was set aside for them."""
    parser = RequestParser(Limits())
    parser.authenticated = False
    parser.feed(request_bytes)
    with pytest.raises(ProtocolError, match="unauthenticated"):
        parser.next()


@pytest.mark.parametrize(
    "request_bytes", [b"*1048576\r\n$1\r\n", b"*1\r\n$536870912\r\n", b"*2147483647\r\n", b"*-1\r\n$5\r\n"]
)
def test_cve_2021_32762(request_bytes: bytes) -> None:
    """The number of elements times their size overflowed; announced sizes take no memory until bytes arrive."""
    import tracemalloc

    parser = RequestParser(Limits())
    tracemalloc.start()
    try:
        parser.feed(request_bytes)
        parser.next()
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    except ProtocolError:
        pass
    finally:
        tracemalloc.stop()


def guest_of(engine: Any, *rules: str) -> EngineClient:
    admin, guest = EngineClient(engine), EngineClient(engine)
    assert admin.answer("ACL", "SETUSER", "guest", "on", "nopass", *rules) == b"OK"
    guest.call("AUTH", "guest", "")
    return guest


def test_cve_2023_41053() -> None:
    """SORT_RO did not say which keys it reads, so key patterns did not hold."""
    engine = new_engine()
    EngineClient(engine).call("RPUSH", "secret", "1", "2")
    guest = guest_of(engine, "+@all", "~public:*")
    for words in (["SORT_RO", "secret"], ["SORT", "secret"], ["SORT_RO", "public:a", "BY", "secret:*"],
                  ["SORT_RO", "public:a", "GET", "secret:*"], ["SORT", "public:a", "STORE", "secret"]):  # fmt: skip
        assert guest.call(*words).is_error, words
    assert guest.answer("COMMAND", "GETKEYS", "SORT_RO", "secret") == [b"secret"]


@pytest.mark.parametrize(
    "rule",
    ["(", "(~", "(+", "(%", "(%R", "(%~", "()", "(()", "((", "(+@all", "%", "%RW", "%R~", "%Z~x", "(%W~"],
)
def test_cve_2024_31227(rule: str) -> None:
    """A selector that is not closed, or a key permission without a pattern, ended the process."""
    client = new_client()
    for words in (
        ["ACL", "SETUSER", "u", rule],
        ["ACL", "SETUSER", "u", rule, "x"],
        ["ACL", "SETUSER", "u", "on", rule],
    ):
        assert client.call(*words).raw
    assert client.answer("PING") == b"PONG"


@pytest.mark.parametrize("rules", [
    ["(%~x)"], ["(~k +get", "%R~"], ["(%~"], ["%R"], ["%W"], ["%"], ["(%RW~k", "+@all", ")", ")"],
    ["~\0", "(~\xff \0)"],
])  # fmt: skip
def test_cve_2024_51741(rules: list[str]) -> None:
    """A malformed selector of an ACL file or of SETUSER ended the process when it was put to use."""
    client = new_client()
    client.call("ACL", "SETUSER", "u", "on", "nopass", *rules)
    client.call("ACL", "GETUSER", "u")
    client.call("ACL", "LIST")
    client.call("ACL", "DRYRUN", "u", "GET", "k")
    assert client.answer("PING") == b"PONG"


def test_cve_2023_45145(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between listening on a unix socket and setting its permissions anybody could connect."""
    path = str(tmp_path / "socket")
    seen = []
    real = os.chmod

    def chmod(target: Any, mode: int, **options: Any) -> None:
        with socket.socket(socket.AF_UNIX) as intruder:
            with pytest.raises(ConnectionRefusedError):
                intruder.connect(path)
        seen.append(mode)
        real(target, mode, **options)

    monkeypatch.setattr(os, "chmod", chmod)
    with listener.listen_unix(path, 0o700, 5):
        assert seen == [0o700]
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o700


def test_cve_2025_21605() -> None:
    """A client that has not logged in could let replies pile up without reading them."""
    with ServerProcess("gossamer", ["--requirepass", "secret"]) as server:
        with socket.create_connection(("127.0.0.1", server.port)) as flood, server.client() as admin:
            assert admin.call("AUTH", "secret").plain() == b"OK"
            flood.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            flood.setblocking(False)
            request = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n" * 20_000
            closed = False
            for _ in range(3000):
                try:
                    flood.send(request)
                except BlockingIOError:
                    pass
                except OSError:
                    closed = True
                    break
                if admin.call("CLIENT", "LIST").plain().count(b"\n") == 1:
                    closed = True
                    break
            assert closed
            assert b"client_output_buffer_limit_disconnections:1" in admin.call("INFO", "stats").plain()


def test_cve_2025_27151(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The checker of append only files copied a path into a buffer that was shorter."""
    (tmp_path / "m.manifest").write_text(f"file {'x' * 9000}.base.rdb seq 1 type b\n")
    assert main(["check-aof", str(tmp_path / "m.manifest")]) == 1
    assert main(["check-aof", str(tmp_path / ("y" * 9000))]) == 1
    capsys.readouterr()


def test_cve_2025_48367() -> None:
    """One connection that failed while it was accepted kept the server from accepting the others."""

    class Flaky:
        """A listening socket whose first connections are gone when they are accepted."""

        def __init__(self, real: socket.socket) -> None:
            self.real = real
            self.failures = 2

        def fileno(self) -> int:
            return self.real.fileno()

        def accept(self) -> Any:
            if self.failures:
                self.failures -= 1
                self.real.accept()[0].close()
                raise ConnectionAbortedError
            return self.real.accept()

    welcomed: list[bytes] = []

    def welcome(accepted: socket.socket, peer: bytes, local: bytes, over_tls: bool) -> None:
        accepted.close()
        welcomed.append(peer)

    with socket.create_server(("127.0.0.1", 0)) as real:
        real.setblocking(False)
        flaky: Any = Flaky(real)
        door = listener.Listener(flaky, False, welcome)
        clients = [socket.create_connection(real.getsockname()) for _ in range(4)]
        door.on_readable()
        assert len(welcomed) == 2
        for client in clients:
            client.close()


def test_cve_2026_23479() -> None:
    """A blocked client that was evicted while its command ran again was used after it was freed."""
    with ServerProcess("gossamer", ["--maxmemory-clients", "200kb"]) as server:
        with server.client() as admin, server.client() as blocked:
            request = b"*3\r\n$5\r\nBLPOP\r\n$1\r\nl\r\n$1\r\n0\r\n"
            blocked.send_raw(request + b"*2\r\n$4\r\nECHO\r\n$400000\r\n" + b"x" * 399_000)
            for _ in range(200):
                admin.call("RPUSH", "l", b"y" * 100_000)
                admin.call("LTRIM", "l", "0", "2")
            assert admin.call("PING").plain() == b"PONG"


@pytest.mark.parametrize("empty", [b"\r\n", b"*0\r\n", b"*-1\r\n", b"\r\n\r\n*0\r\n"])
def test_cve_2026_27623(empty: bytes) -> None:
    """The state of a connection was not reset after an empty request, and the next one ended the process."""
    for following, expected in (
        (b"*1\r\n$4\r\nPING\r\n", [[b"PING"]]), (b"PING\r\n", [[b"PING"]]),
        (b"*2\r\n$4\r\nECHO\r\n$40000\r\n" + b"x" * 40_000 + b"\r\n", [[b"ECHO", b"x" * 40_000]]),
    ):  # fmt: skip
        for cut in range(len(empty) + 1):
            parser = RequestParser(Limits())
            found = []
            for piece in (empty[:cut], empty[cut:] + following[:9], following[9:]):
                parser.feed(piece)
                while (argv := parser.next()) is not None:
                    found.append(argv)
            assert found == expected

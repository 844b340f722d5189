"""Addresses and TLS of a running server, as CONFIG SET moves them."""

import shutil
import socket
import ssl
import subprocess

import pytest

from support.servers import ServerProcess, free_port


def reply_of(client, *words):
    return client.call(*words).raw


def answers(port, host="127.0.0.1"):
    try:
        with socket.create_connection((host, port), timeout=2) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(100) == b"+PONG\r\n"
    except OSError:
        return False


def test_a_new_port_is_listened_on_and_the_old_one_is_given_back():
    with ServerProcess("gossamer") as server, server.client() as client:
        port = free_port()
        assert reply_of(client, "CONFIG", "SET", "port", str(port)) == b"+OK\r\n"
        assert answers(port)
        assert not answers(server.port)
        assert reply_of(client, "PING") == b"+PONG\r\n"


def test_a_port_in_use_is_refused_and_the_old_one_stays():
    with ServerProcess("gossamer") as server, socket.socket() as other, server.client() as client:
        other.bind(("0.0.0.0", 0))
        other.listen()
        taken = other.getsockname()[1]
        assert reply_of(client, "CONFIG", "SET", "port", str(taken)) == (
            b"-ERR CONFIG SET failed (possibly related to argument 'port') - "
            b"Unable to listen on this port. Check server logs.\r\n"
        )
        assert answers(server.port)
        assert client.call("CONFIG", "GET", "port").plain() == [b"port", b"%d" % server.port]
        assert f"{taken}: bind: Address already in use" in server.log_tail()


def test_addresses_move_and_an_impossible_one_is_refused():
    with ServerProcess("gossamer") as server, server.client() as client:
        assert reply_of(client, "CONFIG", "SET", "bind", "127.0.0.1 -192.0.2.1") == b"+OK\r\n"
        assert answers(server.port)
        for impossible in ("192.0.2.1", "127.0.0.1 127.0.0.1"):
            assert b"Failed to bind to specified addresses." in reply_of(
                client, "CONFIG", "SET", "bind", impossible
            )
            assert answers(server.port)
        assert client.call("CONFIG", "GET", "bind").plain()[1] == b"127.0.0.1 -192.0.2.1"


def test_more_clients_than_the_system_grants_are_refused():
    with ServerProcess("gossamer") as server, server.client() as client:
        refused = reply_of(client, "CONFIG", "SET", "maxclients", "4000000000")
        assert (
            b"The operating system is not able to handle the specified number of clients, try with" in refused
        )
        assert reply_of(client, "CONFIG", "SET", "maxclients", "1") == b"+OK\r\n"
        with server.client() as second:
            assert second.read().raw == b"-ERR max number of clients reached\r\n"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    if shutil.which("openssl") is None:
        pytest.skip("openssl is absent")
    directory = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
         "a.key", "-out", "a.crt", "-days", "2", "-subj", "/CN=a"],
        cwd=directory, check=True, capture_output=True,
    )  # fmt: skip
    return directory


def tls_arguments(directory, port):
    return [
        "--tls-port", str(port), "--tls-cert-file", str(directory / "a.crt"), "--tls-key-file",
        str(directory / "a.key"), "--tls-ca-cert-file", str(directory / "a.crt"),
    ]  # fmt: skip


def tls_connection(directory, port, with_certificate=True):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(directory / "a.crt")
    if with_certificate:
        context.load_cert_chain(directory / "a.crt", directory / "a.key")
    return context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=10))


def read_exactly(connection, size):
    data = b""
    while len(data) < size:
        piece = connection.recv(65536)
        assert piece
        data += piece
    return data


def test_tls_and_plain_ports_serve_the_same_data(certificate):
    port = free_port()
    with ServerProcess("gossamer", tls_arguments(certificate, port)) as server, server.client() as client:
        with tls_connection(certificate, port) as secure:
            value = b"v" * 1_000_000
            secure.sendall(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n%s\r\n" % (len(value), value))
            assert read_exactly(secure, 5) == b"+OK\r\n"
            assert client.call("STRLEN", "k").raw == b":1000000\r\n"
            secure.sendall(b"GET k\r\n")
            assert read_exactly(secure, len(value) + 12) == b"$1000000\r\n" + value + b"\r\n"


def test_a_client_without_certificate_hears_why_it_is_refused(certificate):
    port = free_port()
    with ServerProcess("gossamer", tls_arguments(certificate, port)):
        with pytest.raises(ssl.SSLError, match="certificate required|handshake failure"):
            with tls_connection(certificate, port, with_certificate=False) as secure:
                secure.sendall(b"PING\r\n")
                secure.recv(100)


def test_tls_can_be_switched_on_off_and_misconfigured_at_run_time(certificate):
    with ServerProcess("gossamer") as server, server.client() as client:
        port = free_port()
        refused = reply_of(client, "CONFIG", "SET", "tls-port", str(port))
        assert b"'tls-port') - Unable to update TLS configuration. Check server logs." in refused
        words = [word.removeprefix("--") for word in tls_arguments(certificate, port)]
        assert reply_of(client, "CONFIG", "SET", *words) == b"+OK\r\n"
        with tls_connection(certificate, port) as secure:
            secure.sendall(b"PING\r\n")
            assert secure.recv(100) == b"+PONG\r\n"
        refused = reply_of(client, "CONFIG", "SET", "tls-cert-file", "/none")
        assert b"'tls-cert-file') - Unable to update TLS configuration. Check server logs." in refused
        with tls_connection(certificate, port) as secure:
            secure.sendall(b"PING\r\n")
            assert secure.recv(100) == b"+PONG\r\n"
        assert reply_of(client, "CONFIG", "SET", "tls-port", "0") == b"+OK\r\n"
        assert not answers(port)


def test_a_bad_certificate_ends_the_start(certificate):
    arguments = [*tls_arguments(certificate, free_port()), "--tls-cert-file", "/none"]
    with pytest.raises(RuntimeError, match="Failed to configure TLS. Check logs for more info."):
        ServerProcess("gossamer", arguments)


def test_a_unix_socket_has_its_permissions_and_goes_away(tmp_path):
    path = tmp_path / "s"
    with ServerProcess("gossamer", ["--unixsocket", str(path), "--unixsocketperm", "700"]) as server:
        assert path.stat().st_mode & 0o777 == 0o700
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(path))
            connection.sendall(b"PING\r\n")
            assert connection.recv(100) == b"+PONG\r\n"
        server.terminate()
        assert not path.exists()


@pytest.mark.peers
def test_redis_cli_speaks_tls_with_it(certificate):
    if shutil.which("redis-cli") is None:
        pytest.skip("redis-cli is absent")
    port = free_port()
    files = {"--cert": "a.crt", "--key": "a.key", "--cacert": "a.crt"}
    options = [word for option, name in files.items() for word in (option, str(certificate / name))]
    with ServerProcess("gossamer", tls_arguments(certificate, port)):
        said = subprocess.run(
            ["redis-cli", "--tls", "-p", str(port), *options, "PING"],
            capture_output=True,
            timeout=20,
            check=False,
        )
    assert said.stdout == b"PONG\n"

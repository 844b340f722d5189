"""TLS contexts and transports, with certificates made on the spot."""

import os
import shutil
import ssl
import subprocess

import pytest

from gossamer.engine.config import Config
from gossamer.server.connection import TlsError
from gossamer.server.tls import TlsTransport, client_context, is_wanted, server_context
from support.servers import ServerAbsent, ServerProcess, free_port, start_gossamer, start_peer, wait_until

if shutil.which("openssl") is None:
    pytest.skip("openssl is absent", allow_module_level=True)


def openssl(directory, *arguments):
    subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """ca.crt, server.crt/key, client.crt/key, locked.key (passphrase "secret"), other.crt/key."""
    directory = tmp_path_factory.mktemp("certificates")
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    for authority in ("ca", "otherca"):
        openssl(
            directory, "req", "-x509", *curve, "-keyout", f"{authority}.key", "-out", f"{authority}.crt",
            "-days", "2", "-subj", f"/CN={authority}",
        )  # fmt: skip
    for name, authority in (("server", "ca"), ("client", "ca"), ("other", "otherca")):
        openssl(
            directory, "req", *curve, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}"
        )
        openssl(
            directory, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{authority}.crt", "-CAkey",
            f"{authority}.key", "-CAcreateserial", "-days", "2", "-out", f"{name}.crt",
        )  # fmt: skip
    openssl(directory, "ec", "-in", "server.key", "-aes256", "-passout", "pass:secret", "-out", "locked.key")
    return directory


def config_with(directory, **directives):
    config = Config(72)
    values = {"tls-cert-file": "server.crt", "tls-key-file": "server.key", "tls-ca-cert-file": "ca.crt"}
    values.update({name.replace("_", "-"): value for name, value in directives.items()})
    for name, value in values.items():
        is_path = name.endswith(("-file", "-dir")) and value
        word = os.fsencode(directory / value) if is_path else value.encode()
        config.set([(name.encode(), word)])
    return config


def connect(server, client):
    """Move bytes until both are established or nothing moves."""
    to_server = client.start()
    for _ in range(10):
        to_client = b""
        if to_server:
            server.receive(to_server)
            to_client = server.output()
        to_server = b""
        if to_client:
            client.receive(to_client)
            to_server = client.output()
        if not to_server and not to_client:
            return


def pair(directory, client_certificate=True, **directives):
    config = config_with(directory, **directives)
    server = TlsTransport(server_context(config))
    if client_certificate:
        context = client_context(
            config_with(directory, tls_cert_file="client.crt", tls_key_file="client.key")
        )
    else:
        context = ssl.create_default_context(cafile=str(directory / "ca.crt"))
        context.check_hostname = False
    return server, TlsTransport(context, server_side=False)


@pytest.mark.parametrize("size", [0, 1, 16384, 16385, 300_000])
def test_bytes_arrive_as_they_were_sent_in_both_directions(certificates, size):
    server, client = pair(certificates)
    connect(server, client)
    assert server.established and client.established
    data = os.urandom(size)
    assert server.receive(client.send(data)) == data
    assert client.receive(server.send(data)) == data


def test_ciphertext_may_be_split_at_any_byte(certificates):
    server, client = pair(certificates)
    connect(server, client)
    ciphertext = client.send(b"a" * 300) + client.send(b"b" * 5)
    plaintext = b"".join(server.receive(ciphertext[at : at + 1]) for at in range(len(ciphertext)))
    assert plaintext == b"a" * 300 + b"b" * 5


def test_the_handshake_may_be_split_at_any_byte(certificates):
    server, client = pair(certificates)
    flight = client.start()
    for _ in range(4):
        for at in range(len(flight)):
            server.receive(flight[at : at + 1])
        client.receive(server.output())
        flight = client.output()
    assert server.established and client.established


def test_what_is_sent_early_arrives_after_the_handshake(certificates):
    server, client = pair(certificates)
    hello = client.start()
    assert server.send(b"early") == b""
    server.receive(hello)
    client.receive(server.output())
    server.receive(client.output())
    assert client.receive(server.output()) == b"early"


def test_goodbye_is_told(certificates):
    server, client = pair(certificates)
    connect(server, client)
    assert server.receive(client.close()) == b""
    assert server.ended
    assert client.close() == b""


def test_a_client_without_certificate_is_refused_by_default(certificates):
    server, client = pair(certificates, client_certificate=False)
    with pytest.raises(TlsError, match="peer did not return a certificate"):
        connect(server, client)
    assert server.output() != b""


@pytest.mark.parametrize("wish", ["no", "optional"])
def test_a_client_without_certificate_is_welcome_when_it_may_be(certificates, wish):
    server, client = pair(certificates, client_certificate=False, tls_auth_clients=wish)
    connect(server, client)
    assert server.established
    assert server.peer_certificate() is None


@pytest.mark.parametrize("wish", ["yes", "optional"])
def test_a_certificate_of_another_authority_is_refused(certificates, wish):
    server, _ = pair(certificates, tls_auth_clients=wish)
    other = config_with(certificates, tls_cert_file="other.crt", tls_key_file="other.key")
    with pytest.raises(TlsError, match="certificate verify failed"):
        connect(server, TlsTransport(client_context(other), server_side=False))


def test_garbage_is_an_error(certificates):
    server, _ = pair(certificates)
    with pytest.raises(TlsError):
        server.receive(b"*1\r\n$4\r\nPING\r\n")


def test_a_flipped_bit_in_a_record_is_an_error(certificates):
    server, client = pair(certificates)
    connect(server, client)
    ciphertext = bytearray(client.send(b"hello"))
    ciphertext[-1] ^= 1
    with pytest.raises(TlsError):
        server.receive(bytes(ciphertext))


@pytest.mark.parametrize(
    ("protocols", "version"), [("TLSv1.2", "TLSv1.2"), ("tlsv1.3", "TLSv1.3"), ("TLSv1.3 TLSv1.2", "TLSv1.3")]
)
def test_only_named_versions_are_spoken(certificates, protocols, version):
    server, client = pair(certificates, tls_protocols=protocols)
    connect(server, client)
    assert server.describe().startswith(version)


def test_a_cipher_list_is_obeyed(certificates):
    wish = {"tls_protocols": "TLSv1.2", "tls_ciphers": "ECDHE-ECDSA-AES256-GCM-SHA384"}
    server, client = pair(certificates, **wish)
    connect(server, client)
    assert server.describe() == "TLSv1.2 ECDHE-ECDSA-AES256-GCM-SHA384"


def test_a_key_is_unlocked_by_its_passphrase(certificates):
    server, client = pair(certificates, tls_key_file="locked.key", tls_key_file_pass="secret")
    connect(server, client)
    assert server.established


@pytest.mark.parametrize(
    ("directives", "reason"),
    [
        ({"tls_cert_file": ""}, "No tls-cert-file configured!"),
        ({"tls_key_file": ""}, "No tls-key-file configured!"),
        ({"tls_key_file": "none.key"}, "Failed to load certificate"),
        ({"tls_key_file": "locked.key"}, "Failed to load certificate"),
        ({"tls_key_file": "locked.key", "tls_key_file_pass": "wrong"}, "Failed to load certificate"),
        ({"tls_key_file": "other.key"}, "Failed to load certificate"),
        ({"tls_ca_cert_file": ""}, "Either tls-ca-cert-file or tls-ca-cert-dir must be specified"),
        ({"tls_ca_cert_file": "none.crt"}, "Failed to configure CA"),
        ({"tls_protocols": "SSLv3"}, "Invalid tls-protocols specified"),
        ({"tls_ciphers": "NOSUCH"}, "Failed to configure ciphers: NOSUCH"),
        ({"tls_ciphersuites": "NOSUCH"}, "Failed to configure ciphersuites"),
        ({"tls_dh_params_file": "none"}, "Failed to load DH params file"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(certificates, directives, reason):
    with pytest.raises(TlsError, match=reason):
        server_context(config_with(certificates, **directives))


def test_without_client_authentication_no_authority_is_needed(certificates):
    server_context(config_with(certificates, tls_ca_cert_file="", tls_auth_clients="no"))


def test_nothing_wants_tls_by_default():
    assert not is_wanted(Config())


@pytest.mark.peers
@pytest.mark.parametrize("direction", ["to the real server", "from the real server"])
def test_keys_move_over_tls_where_the_cluster_speaks_it(certificates, direction):
    try:
        started = []
        ports = [free_port(), free_port()]
        for start, port in zip((start_gossamer, start_peer), ports, strict=True):
            files = [("cert", "server.crt"), ("key", "server.key"), ("ca-cert", "ca.crt")]
            words = [
                word for name, file in files for word in (f"--tls-{name}-file", str(certificates / file))
            ]
            started.append(start("valkey:8.0", "--tls-port", str(port), "--tls-cluster", "yes", *words))
        order = 1 if direction == "to the real server" else -1
        source, target = started[::order]
        with source.client() as client, target.client() as there:
            client.call("SET", "k", "v" * 100_000)
            reply = client.call("MIGRATE", "127.0.0.1", ports[::order][1], "k", 0, 3000)
            assert reply.raw == b"+OK\r\n"
            assert there.call("STRLEN", "k").value == 100_000
            client.call("SET", "k", "v")
            assert client.call("MIGRATE", "127.0.0.1", target.port, "k", 0, 300).is_error
    except ServerAbsent as absent:
        pytest.skip(f"{absent} is absent")
    finally:
        for server in started:
            server.stop()


@pytest.mark.peers
@pytest.mark.parametrize("kind", ["redis-server", "gossamer"])
def test_a_replica_follows_over_tls(certificates, kind):
    files = {"tls-cert-file": "server.crt", "tls-key-file": "server.key", "tls-ca-cert-file": "ca.crt"}
    options = ["--tls-replication", "yes", "--repl-diskless-sync-delay", "0"]
    for name, file in files.items():
        options += [f"--{name}", str(certificates / file)]
    ports = [free_port(), free_port()]
    try:
        with (
            ServerProcess(kind, [*options, "--tls-port", str(ports[0])]) as primary,
            ServerProcess("gossamer", [*options, "--tls-port", str(ports[1])]) as replica,
            primary.client() as writer,
            replica.client() as reader,
        ):
            writer.call("SET", "k", "v" * 100_000)
            reader.call("REPLICAOF", "127.0.0.1", str(ports[0]))
            wait_until(lambda: b"link_status:up" in reader.call("INFO", "replication").raw, 20, "the link")
            writer.call("APPEND", "k", "w" * 200_000)
            assert writer.call("WAIT", "1", "10000").value == 1
            assert reader.call("STRLEN", "k").value == 300_000
            assert b"port=%d" % ports[1] in writer.call("INFO", "replication").raw
    except ServerAbsent as absent:
        pytest.skip(f"{absent} is not installed")

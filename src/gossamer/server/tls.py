"""TLS: contexts made from the tls-* directives, and a transport from ciphertext to plaintext and back.

Owns: what each directive means to OpenSSL; the handshake's progress.
Must not know: sockets. The event loop moves the bytes:

    plaintext = transport.receive(what arrived)     then send transport.output()
    send transport.send(reply)

Invariants: plaintext given before the handshake is over is kept and encrypted when it is; after a TlsError
the output may hold an alert that is worth sending before the connection is closed.
"""

import ssl
from typing import Final

from gossamer.engine.config import Config
from gossamer.server.connection import TlsError, Transport

READ_CHUNK_BYTES: Final = 64 * 1024

_PROTOCOLS: Final = (
    (b"tlsv1", ssl.TLSVersion.TLSv1, ssl.OP_NO_TLSv1),
    (b"tlsv1.1", ssl.TLSVersion.TLSv1_1, ssl.OP_NO_TLSv1_1),
    (b"tlsv1.2", ssl.TLSVersion.TLSv1_2, ssl.OP_NO_TLSv1_2),
    (b"tlsv1.3", ssl.TLSVersion.TLSv1_3, ssl.OP_NO_TLSv1_3),
)
_DEFAULT_PROTOCOLS: Final = (b"tlsv1.2", b"tlsv1.3")
_VERIFY: Final = {b"no": ssl.CERT_NONE, b"yes": ssl.CERT_REQUIRED, b"optional": ssl.CERT_OPTIONAL}


def is_wanted(config: Config) -> bool:
    """Whether anything in the configuration needs TLS."""
    return config.number("tls-port") != 0 or config.flag("tls-replication") or config.flag("tls-cluster")


def server_context(config: Config) -> ssl.SSLContext:
    """For connections that are accepted; raises TlsError with the line for the log."""
    context = base_context(config, ssl.PROTOCOL_TLS_SERVER)
    verify = config.choice("tls-auth-clients")
    context.verify_mode = _VERIFY[verify]
    load_certificate(context, config, "tls-cert-file", "tls-key-file", "tls-key-file-pass")
    load_authorities(context, config)
    if config.flag("tls-prefer-server-ciphers"):
        context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    else:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    if not config.flag("tls-session-caching"):
        context.options |= ssl.OP_NO_TICKET
        context.num_tickets = 0
    parameters = config.text("tls-dh-params-file")
    if parameters:
        try:
            context.load_dh_params(path_text(parameters))
        except OSError as error:
            raise TlsError(f"Failed to load DH params file: {path_text(parameters)}: {error}") from None
    return context


def client_context(config: Config) -> ssl.SSLContext:
    """For connections to primaries and cluster nodes, which are known by their authority, not their name."""
    context = base_context(config, ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    if config.text("tls-client-cert-file"):
        load_certificate(
            context, config, "tls-client-cert-file", "tls-client-key-file", "tls-client-key-file-pass"
        )
    else:
        load_certificate(context, config, "tls-cert-file", "tls-key-file", "tls-key-file-pass")
    load_authorities(context, config)
    return context


def base_context(config: Config, protocol: "ssl._SSLMethod") -> ssl.SSLContext:
    """Versions and ciphers, the same for both directions."""
    context = ssl.SSLContext(protocol)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_SINGLE_DH_USE
    set_protocols(context, config.text("tls-protocols").lower().split() or list(_DEFAULT_PROTOCOLS))
    ciphers = config.text("tls-ciphers")
    if ciphers:
        try:
            context.set_ciphers(ciphers.decode("latin-1"))
        except ssl.SSLError:
            raise TlsError(f"Failed to configure ciphers: {ciphers.decode('latin-1')}") from None
    suites = config.text("tls-ciphersuites")
    if suites:
        set_ciphersuites(context, suites.decode("latin-1"))
    return context


def set_protocols(context: ssl.SSLContext, wanted: list[bytes]) -> None:
    """The versions from the lowest to the highest that is named, without those between that are not."""
    known = [name for name, _, _ in _PROTOCOLS]
    if any(name not in known for name in wanted):
        raise TlsError(
            "Invalid tls-protocols specified. "
            "Use a combination of 'TLSv1', 'TLSv1.1', 'TLSv1.2' and 'TLSv1.3'."
        )
    places = [known.index(name) for name in wanted]
    context.minimum_version = _PROTOCOLS[min(places)][1]
    context.maximum_version = _PROTOCOLS[max(places)][1]
    for place in range(min(places), max(places)):
        if place not in places:
            context.options |= _PROTOCOLS[place][2]


def set_ciphersuites(context: ssl.SSLContext, suites: str) -> None:
    """The suites of TLS 1.3; refused where Python cannot set them: such a wish is not to be ignored."""
    setter = getattr(context, "set_ciphersuites", None)
    if setter is None:
        raise TlsError("Failed to configure ciphersuites: this version of Python cannot set tls-ciphersuites")
    try:
        setter(suites)
    except ssl.SSLError:
        raise TlsError(f"Failed to configure ciphersuites: {suites}") from None


def load_certificate(context: ssl.SSLContext, config: Config, cert: str, key: str, password: str) -> None:
    """The certificate and key that three directives name."""
    for name in (cert, key):
        if not config.text(name):
            raise TlsError(f"No {name} configured!")
    # Without a passphrase the answer is an empty one, lest OpenSSL asks on the terminal.
    secret = config.text(password)
    cert_path = path_text(config.text(cert))
    try:
        context.load_cert_chain(cert_path, path_text(config.text(key)), lambda: secret)
    except (OSError, ValueError) as error:
        raise TlsError(f"Failed to load certificate: {cert_path}: {error}") from None


def load_authorities(context: ssl.SSLContext, config: Config) -> None:
    """Whose certificates are trusted; nobody's unless the configuration says so."""
    file = path_text(config.text("tls-ca-cert-file")) or None
    directory = path_text(config.text("tls-ca-cert-dir")) or None
    if file is None and directory is None:
        if (
            context.verify_mode != ssl.CERT_NONE
            or config.flag("tls-cluster")
            or config.flag("tls-replication")
        ):
            raise TlsError(
                "Either tls-ca-cert-file or tls-ca-cert-dir must be specified when tls-cluster, "
                "tls-replication or tls-auth-clients are enabled!"
            )
        return
    try:
        context.load_verify_locations(file, directory)
    except (OSError, ValueError) as error:
        raise TlsError(f"Failed to configure CA certificate(s) file/directory: {error}") from None


def path_text(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")


class TlsTransport(Transport):
    """One connection's TLS state. `established`: the handshake is over; `ended`: the peer sends no more."""

    def __init__(self, context: ssl.SSLContext, server_side: bool = True) -> None:
        super().__init__()
        self.arriving = ssl.MemoryBIO()
        self.leaving = ssl.MemoryBIO()
        self.object = context.wrap_bio(self.arriving, self.leaving, server_side=server_side)
        self.waiting: list[bytes] = []
        self.established = False
        self.ended = False
        self.closed = False

    def start(self) -> bytes:
        self.shake_hands()
        return self.output()

    def is_established(self) -> bool:
        return self.established

    def receive(self, ciphertext: bytes) -> bytes:
        """The plaintext in what arrived (empty while the handshake goes on); then call output().

        Raises TlsError if the peer breaks the protocol or is refused.
        """
        self.arriving.write(ciphertext)
        if not self.established and not self.shake_hands():
            return b""
        pieces: list[bytes] = []
        try:
            while True:
                piece = self.object.read(READ_CHUNK_BYTES)
                if not piece:
                    self.ended = True
                    break
                pieces.append(piece)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.ended = True
        except ssl.SSLError as error:
            raise TlsError(reason_of(error)) from None
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def shake_hands(self) -> bool:
        """Go on with the handshake as far as the bytes reach; True when it is over."""
        try:
            self.object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError as error:
            raise TlsError(reason_of(error)) from None
        self.established = True
        for plaintext in self.waiting:
            self.encrypt(plaintext)
        self.waiting = []
        return True

    def send(self, plaintext: bytes) -> bytes:
        """The ciphertext to send for it, with whatever else is to be sent."""
        if not self.established:
            self.waiting.append(plaintext)
        elif not self.closed:
            self.encrypt(plaintext)
        return self.output()

    def encrypt(self, plaintext: bytes) -> None:
        view = memoryview(plaintext)
        written = 0
        while written < len(view):
            written += self.object.write(view[written:])

    def output(self) -> bytes:
        """What is to be sent to the peer now: handshake, alerts, session tickets."""
        return self.leaving.read()

    def close(self) -> bytes:
        """The bytes that say goodbye; the connection may be closed once they are sent."""
        if self.established and not self.closed:
            self.closed = True
            try:
                self.object.unwrap()
            except ssl.SSLError:
                pass  # the peer has not said goodbye yet, and need not
        return self.output()

    def peer_certificate(self) -> bytes | None:
        """The peer's certificate in DER, if it showed one."""
        return self.object.getpeercert(True)

    def describe(self) -> str:
        """Version and cipher in use, for the log."""
        cipher = self.object.cipher()
        return f"{self.object.version()} {cipher[0] if cipher else 'no cipher'}"


def reason_of(error: ssl.SSLError) -> str:
    """OpenSSL's reason in few words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate verify failed: {error.verify_message}"
    return (error.reason or str(error)).lower().replace("_", " ")


def new_transport(context: object) -> TlsTransport:
    """TLS for an accepted connection under a context that server_context() made."""
    assert isinstance(context, ssl.SSLContext)
    return TlsTransport(context)


def new_outgoing_transport(context: object) -> TlsTransport:
    """TLS for a connection that this side opens, under a context that client_context() made."""
    assert isinstance(context, ssl.SSLContext)
    return TlsTransport(context, False)

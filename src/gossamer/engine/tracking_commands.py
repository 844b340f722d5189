"""CLIENT TRACKING, CACHING, TRACKINGINFO and GETREDIR; they stand in the table of client_commands.py."""

from typing import Final

from mypy_extensions import i64

from gossamer.base.errors import CommandError
from gossamer.base.numbers import is_int64, to_int64
from gossamer.engine.client import Client
from gossamer.engine.tracking import TrackingState
from gossamer.resp.errors import NOT_INTEGER, SYNTAX

_ANEW: Final = b" before disabling tracking for this client, and then re-enabling it with a different mode."
_MUST_NOT: Final = b"'. Prefixes for a single client must not overlap."


def parse_options(client: Client, argv: list[bytes]) -> TrackingState:
    """What stands behind ON or OFF; raises CommandError."""
    state = TrackingState()
    n: i64 = len(argv)
    i: i64 = 3
    while i < n:
        word = argv[i].lower()
        more: i64 = n - i - 1
        if word == b"redirect" and more > 0:
            i += 1
            if state.redirect != 0:
                raise CommandError(b"ERR A client can only redirect to a single other client")
            if not is_int64(argv[i]):
                raise CommandError(NOT_INTEGER)
            state.redirect = to_int64(argv[i])
            if state.redirect not in client.engine.clients:
                raise CommandError(b"ERR The client ID you want redirect to does not exist")
        elif word == b"bcast":
            state.broadcasting = True
        elif word == b"optin":
            state.opts_in = True
        elif word == b"optout":
            state.opts_out = True
        elif word == b"noloop":
            state.no_loop = True
        elif word == b"prefix" and more > 0:
            i += 1
            state.prefixes.append(argv[i])
        else:
            raise CommandError(SYNTAX)
        i += 1
    return state


def check_modes(known: TrackingState | None, state: TrackingState) -> None:
    """Whether options go together, and with how the client tracks already; raises CommandError."""
    if state.prefixes and not state.broadcasting:
        raise CommandError(b"ERR PREFIX option requires BCAST mode to be enabled")
    if known is not None and known.broadcasting != state.broadcasting:
        raise CommandError(b"ERR You can't switch BCAST mode on/off" + _ANEW)
    if state.broadcasting and (state.opts_in or state.opts_out):
        raise CommandError(b"ERR OPTIN and OPTOUT are not compatible with BCAST")
    if state.opts_in and state.opts_out:
        raise CommandError(b"ERR You can't specify both OPTIN mode and OPTOUT mode")
    if known is not None and ((state.opts_in and known.opts_out) or (state.opts_out and known.opts_in)):
        raise CommandError(b"ERR You can't switch OPTIN/OPTOUT mode" + _ANEW)


def check_prefixes(known: TrackingState | None, prefixes: list[bytes]) -> None:
    """No prefix of a client may begin another one; raises CommandError."""
    for position, prefix in enumerate(prefixes):
        if known is not None:
            for old in known.prefixes:
                if prefix.startswith(old) or old.startswith(prefix):
                    raise CommandError(
                        b"ERR Prefix '" + prefix + b"' overlaps with an existing prefix '" + old + _MUST_NOT
                    )
        for other in prefixes[position + 1 :]:
            if prefix.startswith(other) or other.startswith(prefix):
                raise CommandError(
                    b"ERR Prefix '"
                    + prefix
                    + b"' overlaps with another provided prefix '"
                    + other
                    + _MUST_NOT
                )


def client_tracking(client: Client, argv: list[bytes]) -> None:
    state = parse_options(client, argv)
    switch = argv[2].lower()
    if switch == b"on":
        check_modes(client.tracking, state)
        if state.broadcasting:
            check_prefixes(client.tracking, state.prefixes)
        client.engine.tracking.enable(client, state)
    elif switch == b"off":
        client.engine.tracking.disable(client)
    else:
        raise CommandError(SYNTAX)
    client.reply.ok()


def client_caching(client: Client, argv: list[bytes]) -> None:
    state = client.tracking
    if state is None:
        raise CommandError(
            b"ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode "
            b"enabled"
        )
    word = argv[2].lower()
    if word == b"yes":
        if not state.opts_in:
            raise CommandError(
                b"ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode."
            )
    elif word == b"no":
        if not state.opts_out:
            raise CommandError(
                b"ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode."
            )
    else:
        raise CommandError(SYNTAX)
    state.caching_said = True
    client.reply.ok()


def redirection(client: Client) -> i64:
    """-1 where the client does not track, 0 where the messages are its own."""
    return -1 if client.tracking is None else client.tracking.redirect


def client_getredir(client: Client, argv: list[bytes]) -> None:
    client.reply.integer(redirection(client))


def client_trackinginfo(client: Client, argv: list[bytes]) -> None:
    state = client.tracking
    flags = [b"off" if state is None else b"on"]
    prefixes: list[bytes] = []
    if state is not None:
        prefixes = sorted(state.prefixes)
        for is_set, word in (
            (state.broadcasting, b"bcast"),
            (state.opts_in, b"optin"),
            (state.opts_in and state.caching_said, b"caching-yes"),
            (state.opts_out, b"optout"),
            (state.opts_out and state.caching_said, b"caching-no"),
            (state.no_loop, b"noloop"),
            (state.is_broken, b"broken_redirect"),
        ):
            if is_set:
                flags.append(word)
    reply = client.reply
    reply.map(3)
    reply.bulk(b"flags")
    reply.set(len(flags))
    reply.bulks(flags)
    reply.bulk(b"redirect")
    reply.integer(redirection(client))
    reply.bulk(b"prefixes")
    reply.bulk_array(prefixes)

"""OBJECT: how a value is held. Its subcommands neither renew the access field nor tell of a missing key."""

from typing import Final

from mypy_extensions import i64

from gossamer.base.errors import CommandError
from gossamer.base.limits import POLICY_LFU, POLICY_LRU
from gossamer.commands.session import Session
from gossamer.commands.table import Command, KeySpec
from gossamer.keyspace.access import lfu_decayed, lru_idle_seconds
from gossamer.keyspace.state import ACCESS_LRU

_SHARED_REFERENCES: Final = 2147483647  # what Redis says of its shared small integers
_SHARED_DIGITS: Final = 4
_SWITCHING: Final = (
    b" Please note that when switching between policies at runtime LRU and LFU data will"
    b" take some time to adjust."
)
_NOT_LFU: Final = b"ERR An LFU maxmemory policy is not selected, access frequency not tracked." + _SWITCHING
_IS_LFU: Final = b"ERR An LFU maxmemory policy is selected, idle time not tracked." + _SWITCHING

_HELP: Final = (
    b"OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    b"ENCODING <key>",
    b"    The name of the form in which the value is kept.",
    b"FREQ <key>",
    b"    How often the key is used, as the logarithmic counter of the LFU policies.",
    b"IDLETIME <key>",
    b"    For about how many seconds nothing has touched the key.",
    b"REFCOUNT <key>",
    b"    How many references the value has.",
    b"HELP",
    b"    This text.",
)


def is_there(session: Session, key: bytes) -> bool:
    """Whether the key exists; counts as a read. Where it does not, the reply is null."""
    state = session.state
    if session.db.exists(key):
        state.hits += 1
        return True
    state.misses += 1
    session.reply.null()
    return False


def encoding(session: Session, argv: list[bytes]) -> None:
    """OBJECT ENCODING key"""
    if is_there(session, argv[2]):
        session.reply.bulk_or_null(session.db.encoding(argv[2]))


def freq(session: Session, argv: list[bytes]) -> None:
    """OBJECT FREQ key"""
    if not is_there(session, argv[2]):
        return
    state = session.state
    if state.access_mode == ACCESS_LRU:
        raise CommandError(_NOT_LFU)
    now_minutes: i64 = (state.now_ms // 60000) & 0xFFFF
    session.reply.integer(lfu_decayed(session.db.access_field(argv[2]), now_minutes, session.limits))


def idletime(session: Session, argv: list[bytes]) -> None:
    """OBJECT IDLETIME key"""
    if not is_there(session, argv[2]):
        return
    state = session.state
    if state.access_mode != ACCESS_LRU:
        raise CommandError(_IS_LFU)
    session.reply.integer(lru_idle_seconds(session.db.access_field(argv[2]), state.now_ms))


def refcount(session: Session, argv: list[bytes]) -> None:
    """OBJECT REFCOUNT key: Redis shares the integers below 10000; here nothing is shared."""
    if is_there(session, argv[2]):
        session.reply.integer(references(session, argv[2]))


def references(session: Session, key: bytes) -> i64:
    """What a real server would count: small integers are shared, unless eviction asks for their last use."""
    db = session.db
    shared: bool = False
    limits = session.limits
    if limits.maxmemory_bytes != 0 and limits.maxmemory_policy & (POLICY_LRU | POLICY_LFU):
        return 1
    if db.encoding(key) == b"int" and db.exists(key):
        shared = db.found_string_length() <= _SHARED_DIGITS and db.found_string_cut(0, 1) != b"-"
    return _SHARED_REFERENCES if shared else 1


def help_command(session: Session, argv: list[bytes]) -> None:
    """OBJECT HELP"""
    reply = session.reply
    reply.simple_array(_HELP)


_KEY: Final = (KeySpec("RO", index=2),)
_RANDOM: Final = (b"nondeterministic_output",)

COMMANDS: Final = (
    Command(
        b"object",
        None,
        -2,
        "",
        "",
        subcommands=(
            Command(b"encoding", encoding, 3, "readonly", "keyspace", _KEY, _RANDOM),
            Command(b"freq", freq, 3, "readonly", "keyspace", _KEY, _RANDOM),
            Command(b"help", help_command, 2, "loading stale", "keyspace"),
            Command(b"idletime", idletime, 3, "readonly", "keyspace", _KEY, _RANDOM),
            Command(b"refcount", refcount, 3, "readonly", "keyspace", _KEY, _RANDOM),
        ),
    ),
)

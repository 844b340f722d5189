"""Every error text that is used in more than one place, once. Each is the whole reply without the leading '-'."""

from typing import Final

WRONGTYPE: Final = b"WRONGTYPE Operation against a key holding the wrong kind of value"
SYNTAX: Final = b"ERR syntax error"
NOT_INTEGER: Final = b"ERR value is not an integer or out of range"
NOT_FLOAT: Final = b"ERR value is not a valid float"
OUT_OF_RANGE: Final = b"ERR value is out of range"
MUST_BE_POSITIVE: Final = b"ERR value is out of range, must be positive"
INDEX_OUT_OF_RANGE: Final = b"ERR index out of range"
NO_SUCH_KEY: Final = b"ERR no such key"
OVERFLOW: Final = b"ERR increment or decrement would overflow"
NAN_OR_INFINITY: Final = b"ERR increment would produce NaN or Infinity"
STRING_TOO_LONG: Final = b"ERR string exceeds maximum allowed size (proto-max-bulk-len)"
INVALID_CURSOR: Final = b"ERR invalid cursor"
INVALID_DB_INDEX: Final = b"ERR invalid DB index"
DB_OUT_OF_RANGE: Final = b"ERR DB index is out of range"
SAME_OBJECT: Final = b"ERR source and destination objects are the same"
TIMEOUT_NOT_FLOAT: Final = b"ERR timeout is not a float or out of range"
TIMEOUT_NEGATIVE: Final = b"ERR timeout is negative"
TIMEOUT_NOT_INTEGER: Final = b"ERR timeout is not an integer or out of range"
READ_ONLY_REPLICA: Final = b"READONLY You can't write against a read only replica."
GUARDED: Final = (
    b"GUARDED Safe start: replicas may have more than this server. REPLICAOF NO ONE says it is right."
)
PRIMARY_DOWN: Final = b"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."
FORCED_UNBLOCK: Final = (
    b"UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)"
)
TOO_FEW_REPLICAS: Final = b"NOREPLICAS Not enough good replicas to write."
OUT_OF_MEMORY: Final = b"OOM command not allowed when used memory > 'maxmemory'."
NO_AUTH: Final = b"NOAUTH Authentication required."
LOADING: Final = b"LOADING Redis is loading the dataset in memory"
BUSY_KEY: Final = b"BUSYKEY Target key name already exists."
EXEC_ABORTED: Final = b"EXECABORT Transaction discarded because of previous errors."


def quoted(argument: bytes) -> bytes:
    """An argument as an error message shows it: up to a NUL, where a string of the real servers ends."""
    end = argument.find(b"\0")
    return argument if end < 0 else argument[:end]


def wrong_arity(full_name: bytes) -> bytes:
    """The reply for a wrong number of arguments; full_name is lower case, `container|sub` for a subcommand."""
    return b"ERR wrong number of arguments for '" + full_name + b"' command"


def invalid_expire(name: bytes) -> bytes:
    """The reply for an expire time that is out of range in the command `name` (lower case)."""
    return b"ERR invalid expire time in '" + name + b"' command"


def not_subscribed(name: bytes) -> bytes:
    """Valkey's reply to an unsubscription by a client that subscribes to nothing."""
    return b"NOSUB '" + name + b"' command executed not in subscribed mode"


def wrong_shape(subcommand: bytes, container: bytes) -> bytes:
    """The reply for arguments that a subcommand does not take; both as the client and Redis spell them."""
    return (
        b"ERR unknown subcommand or wrong number of arguments for '"
        + subcommand
        + b"'. Try "
        + container
        + b" HELP."
    )

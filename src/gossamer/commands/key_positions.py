"""Which arguments of a request are keys, by the command's key specifications; and what follows from these.

Owns: the reading of KeySpec against an argument list, the finders for the few commands whose keys no
specification can describe (SORT, MIGRATE) or whose access depends on an option (SET, BITFIELD), and the
first/last/step of COMMAND.
Must not know: clients, databases, what a command does.
The rules are those of Redis's documentation, "Command key specifications".
"""

from typing import Final, final

from gossamer.base.numbers import is_int64, to_int64
from gossamer.commands.table import Command, KeySpec

# The order in which COMMAND prints the flags of a key.
KEY_FLAG_ORDER: Final = (
    "RO", "RW", "OW", "RM", "access", "update", "insert", "delete", "not_key", "incomplete", "variable_flags",
)  # fmt: skip

READ: Final = ("RO", "access")
OVERWRITE: Final = ("OW", "update")
READ_AND_UPDATE: Final = ("RW", "access", "update")
READ_AND_DELETE: Final = ("RW", "access", "delete")


@final
class KeyReference:
    """One key of a request: its position in argv, and what the command does with it."""

    def __init__(self, position: int, flags: tuple[str, ...]) -> None:
        self.position = position
        self.flags = flags


def has_keys(command: Command) -> bool:
    """Whether a request can have keys at all (channels of sharded pub/sub are none)."""
    if command.key_finder is not None:
        return True
    for spec in command.keys:
        if "not_key" not in spec.flags:
            return True
    return False


def find_keys(command: Command, argv: list[bytes], with_channels: bool = False) -> list[KeyReference]:
    """The keys of a request whose arity is right; none where the arguments contradict themselves.

    with_channels adds what is no key but belongs to a slot (SPUBLISH).
    """
    if command.key_finder is not None:
        return [KeyReference(position, flags) for position, flags in command.key_finder(argv)]
    found: list[KeyReference] = []
    for spec in command.keys:
        if "not_key" in spec.flags and not with_channels:
            continue
        if spec.unknown_begin or spec.unknown_find:
            continue
        first = begin_of(spec, argv)
        if first <= 0:
            continue
        positions = range_of(spec, first, argv)
        if positions is None:
            return []
        for position in positions:
            found.append(KeyReference(position, spec.flags))
    return found


def begin_of(spec: KeySpec, argv: list[bytes]) -> int:
    """Where the keys of a specification begin; 0 where its keyword does not occur."""
    if not spec.keyword:
        return spec.index
    keyword = spec.keyword.lower()
    if spec.start_from > 0:
        for position in range(spec.start_from, len(argv) - 1):
            if argv[position].lower() == keyword:
                return position + 1
        return 0
    for position in range(len(argv) + spec.start_from, 0, -1):
        if position < len(argv) and argv[position].lower() == keyword:
            return position + 1
    return 0


def range_of(spec: KeySpec, first: int, argv: list[bytes]) -> range | None:
    """The positions of a specification's keys from `first` on; None where they do not fit the request."""
    size = len(argv)
    if spec.count_at >= 0:
        count_position = first + spec.count_at
        if count_position >= size or not is_int64(argv[count_position]):
            return None
        count = to_int64(argv[count_position])
        first += spec.first
        if count < 1 or count > size:
            return None
        last = first + (count - 1) * spec.step
    elif spec.last >= 0:
        last = first + spec.last
    elif spec.limit == 0:
        last = size + spec.last
    else:
        last = first + (size - first) // spec.limit + spec.last
    if last < first or last >= size or first >= size:
        return None
    return range(first, last + 1, spec.step)


def is_range(spec: KeySpec) -> bool:
    """Whether the keys stand at fixed positions."""
    return not (spec.keyword or spec.unknown_begin or spec.unknown_find or spec.count_at >= 0)


def has_movable_keys(command: Command) -> bool:
    """Whether first/last/step do not tell all keys, so that clients must ask COMMAND GETKEYS."""
    for spec in command.keys:
        if not is_range(spec) or "incomplete" in spec.flags:
            return True
    return False


def legacy_range(command: Command) -> tuple[int, int, int]:
    """First key, last key (negative from the end) and step, as clients of old read them; zeros without
    keys."""
    specs = [spec for spec in command.keys if is_range(spec)]
    if not specs:
        return 0, 0, 0
    if len(command.keys) == 1:
        spec = specs[0]
        return spec.index, spec.last if spec.last < 0 else spec.index + spec.last, spec.step
    first = 0
    last = 0
    for spec in specs:
        if spec.step != 1 or (last != 0 and spec.index != last + 1):
            break
        if first == 0:
            first = spec.index
        last = spec.last if spec.last < 0 else spec.index + spec.last
        if last < 0:
            break
    return first, last, 1 if first else 0


# -- finders: (position, flags) of the keys ----------------------------------------------------------------


def sort_keys(argv: list[bytes]) -> list[tuple[int, tuple[str, ...]]]:
    """SORT: its source, and the last STORE's destination. What BY and GET look up is no key of the
    request."""
    store = 0
    position = 2
    while position < len(argv):
        word = argv[position].lower()
        if word == b"limit":
            position += 2
        elif word == b"get" or word == b"by":
            position += 1
        elif word == b"store" and position + 1 < len(argv):
            store = position + 1
            position += 1
        position += 1
    found: list[tuple[int, tuple[str, ...]]] = [(1, READ)]
    if store:
        found.append((store, OVERWRITE))
    return found


def sort_ro_keys(_argv: list[bytes]) -> list[tuple[int, tuple[str, ...]]]:
    """SORT_RO: its source."""
    return [(1, READ)]


def migrate_keys(argv: list[bytes]) -> list[tuple[int, tuple[str, ...]]]:
    """MIGRATE: its third argument, or, where that is empty, everything behind KEYS."""
    position = 6
    while position < len(argv):
        word = argv[position].lower()
        if word == b"keys":
            if argv[3]:
                return []
            return [(at, READ_AND_DELETE) for at in range(position + 1, len(argv))]
        if word == b"auth":
            position += 1
        elif word == b"auth2":
            position += 2
        position += 1
    return [(3, READ_AND_DELETE)]


def set_keys(argv: list[bytes]) -> list[tuple[int, tuple[str, ...]]]:
    """SET: it reads its key only with the options GET, IFEQ and IFNE."""
    for position in range(3, len(argv)):
        if argv[position].lower() in (b"get", b"ifeq", b"ifne"):
            return [(1, READ_AND_UPDATE)]
    return [(1, OVERWRITE)]


def bitfield_keys(argv: list[bytes]) -> list[tuple[int, tuple[str, ...]]]:
    """BITFIELD: it only reads as long as all its operations are GET."""
    position = 2
    while position < len(argv):
        word = argv[position].lower()
        following = len(argv) - position - 1
        if word == b"get" and following >= 2:
            position += 3
        elif word == b"overflow" and following >= 1:
            position += 2
        else:
            return [(1, READ_AND_UPDATE)]
    return [(1, READ)]

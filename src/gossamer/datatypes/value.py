"""What every value that is not a string has in common. A string is plain `bytes`.

Invariant: `packed()` is the exact RDB/DUMP byte form (listpack or intset) as long as it is not None.
"""

from typing import Any, Final

from mypy_extensions import i64

# How a value stands in a database entry (the low four bits of its meta byte).
KIND_STRING: Final = 0  # plain bytes; the encoding follows from the content
KIND_STRING_EMBSTR: Final = 1  # plain bytes that INCRBYFLOAT wrote: never reported as int
KIND_STRING_RAW: Final = 2  # plain bytes, by APPEND, SETRANGE ...: neither int nor embstr
KIND_OBJECT: Final = 3  # a Value held in the slab, also a StringBuffer
KIND_LIST_LISTPACK: Final = 4
KIND_HASH_LISTPACK: Final = 5
KIND_SET_INTSET: Final = 6
KIND_SET_LISTPACK: Final = 7
KIND_ZSET_LISTPACK: Final = 8
KIND_LAST_STRING: Final = KIND_STRING_RAW

# Fixed costs, in bytes, of CPython objects as the allocator rounds them; used by memory_bytes().
OBJECT_BYTES: Final = 64  # a native instance with its fields
BYTES_OVERHEAD: Final = 33 + 7  # header of a bytes object and the mean of the rounding to 16


class Value:
    """A list, hash, set, sorted set or stream."""

    def __init__(self) -> None:
        self.ref: i64 = -1
        self.accounted: i64 = 0

    def type_name(self) -> bytes:
        raise NotImplementedError

    def encoding(self) -> bytes:
        raise NotImplementedError

    def length(self) -> i64:
        raise NotImplementedError

    def packed(self) -> bytes | None:
        return None

    def packed_kind(self) -> i64:
        return KIND_OBJECT

    def memory_bytes(self) -> i64:
        raise NotImplementedError

    def copy(self) -> "Value":
        raise NotImplementedError

    def hand_over(self, lists: list[list[Any]]) -> None:
        """Append the long lists that a large value holds, and let go of them: they are freed piecemeal.

        Nothing else may be asked of the value afterwards. A type whose pieces are few may leave this alone.
        """

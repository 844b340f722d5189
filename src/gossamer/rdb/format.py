"""The RDB format's numbers: versions, opcodes, value types, length forms. Owns no code, knows no value.

A file, from its first byte to its last:

    +---------+------+----------------------------------------------+-----+------------+
    | magic 5 | ver4 | opcode or type, fields ... (repeated)        | FF  | CRC64 LE 8 |
    +---------+------+----------------------------------------------+-----+------------+
      REDIS     0010   FA aux  FE select  FB resize  FC expire ...    EOF   from version 5 on

    VALKEY files begin with `VALKEY` and three digits: `VALKEY080`.

The check sum covers every byte before it; eight zero bytes mean that the writer kept none.

A key is its optional attributes, a type byte, the name, and the value:

    [FC expire_at_ms i64] [F8 idle length] [F9 frequency u8] type key value

A length takes its form from the two upper bits of its first byte:

    00xxxxxx                      6 bits
    01xxxxxx xxxxxxxx             14 bits, big-endian
    10000000 + 4 bytes            32 bits, big-endian
    10000001 + 8 bytes            64 bits, big-endian
    11tttttt                      not a length: a string in special form t (see ENCODING_*)

A string is a length and as many bytes, or a special form:

    C0 xx           the decimal digits of a signed byte
    C1 xx xx        ... of a signed 16-bit number, little-endian
    C2 xx xx xx xx  ... of a signed 32-bit number, little-endian
    C3 clen ulen .. LZF: clen compressed bytes that give ulen bytes

Example: `SET greeting hello` with no expiry is

    00 | 08 67 72 65 65 74 69 6e 67 | 05 68 65 6c 6c 6f
    ^STRING  ^8 "greeting"             ^5 "hello"

A DUMP payload is a type byte, the value, the version (u16 LE) and the CRC64 of all before it:

    | type | value ... | version 2 LE | CRC64 8 LE |
"""

from typing import Final

MAGIC_REDIS: Final = b"REDIS"
MAGIC_VALKEY: Final = b"VALKEY"
HEADER_BYTES: Final = 9

# Versions: Redis 6.2 writes 9, 7.0 writes 10, 7.2 and Valkey 8 write 11, Redis 7.4 and 8.0 write 12.
VERSION_FIRST: Final = 1
VERSION_WITH_CHECKSUM: Final = 5
VERSION_WITH_AUX: Final = 7  # and with every other opcode below EXPIRE_TIME_MS
VERSION_OLDEST_WRITTEN: Final = 9
VERSION_DEFAULT: Final = 10
VERSION_WITH_LISTPACKS: Final = 10  # also function libraries, and streams with a history
VERSION_WITH_SET_LISTPACK: Final = 11  # also streams with a consumer's active time
VERSION_WITH_FIELD_EXPIRY: Final = 12
VERSION_LAST: Final = 12  # the last one behind REDIS
VERSION_VALKEY: Final = 80  # the only one behind VALKEY

# Opcodes: bytes that stand where a type could stand.
OPCODE_SLOT_IMPORT: Final = 243  # VALKEY only: a slot range that is being imported
OPCODE_SLOT_INFO: Final = 244
OPCODE_FUNCTION: Final = 245
OPCODE_FUNCTION_PRE_GA: Final = 246
OPCODE_MODULE_AUX: Final = 247
OPCODE_IDLE: Final = 248
OPCODE_FREQUENCY: Final = 249
OPCODE_AUX: Final = 250
OPCODE_RESIZE_DB: Final = 251
OPCODE_EXPIRE_TIME_MS: Final = 252
OPCODE_EXPIRE_TIME: Final = 253
OPCODE_SELECT_DB: Final = 254
OPCODE_EOF: Final = 255

# Value types.
TYPE_STRING: Final = 0
TYPE_LIST: Final = 1
TYPE_SET: Final = 2
TYPE_ZSET: Final = 3  # scores as text
TYPE_HASH: Final = 4
TYPE_ZSET_2: Final = 5  # scores as binary doubles
TYPE_MODULE_PRE_GA: Final = 6
TYPE_MODULE_2: Final = 7
TYPE_HASH_ZIPMAP: Final = 9
TYPE_LIST_ZIPLIST: Final = 10
TYPE_SET_INTSET: Final = 11
TYPE_ZSET_ZIPLIST: Final = 12
TYPE_HASH_ZIPLIST: Final = 13
TYPE_LIST_QUICKLIST: Final = 14
TYPE_STREAM_LISTPACKS: Final = 15
TYPE_HASH_LISTPACK: Final = 16
TYPE_ZSET_LISTPACK: Final = 17
TYPE_LIST_QUICKLIST_2: Final = 18
TYPE_STREAM_LISTPACKS_2: Final = 19
TYPE_SET_LISTPACK: Final = 20
TYPE_STREAM_LISTPACKS_3: Final = 21
TYPE_HASH_METADATA_PRE_GA: Final = 22  # behind REDIS: a release candidate of 7.4
TYPE_HASH_2: Final = 22  # behind VALKEY: hash whose fields carry an expiry
TYPE_HASH_LISTPACK_EX_PRE_GA: Final = 23
TYPE_HASH_METADATA: Final = 24
TYPE_HASH_LISTPACK_EX: Final = 25
TYPE_LAST: Final = 25

# Special forms of a string, the lower six bits behind 11.
ENCODING_INT8: Final = 0
ENCODING_INT16: Final = 1
ENCODING_INT32: Final = 2
ENCODING_LZF: Final = 3

# What stands before each datum of a module's value.
MODULE_EOF: Final = 0
MODULE_SINT: Final = 1
MODULE_UINT: Final = 2
MODULE_FLOAT: Final = 3
MODULE_DOUBLE: Final = 4
MODULE_STRING: Final = 5

# How a node of a quicklist of the second form stands: one large element, or a listpack.
QUICKLIST_NODE_PLAIN: Final = 1
QUICKLIST_NODE_PACKED: Final = 2

# Below this length a string is never compressed.
COMPRESS_MIN_BYTES: Final = 21

# First byte of a score in text form that stands for no digits.
SCORE_NAN: Final = 253
SCORE_POSITIVE_INFINITY: Final = 254
SCORE_NEGATIVE_INFINITY: Final = 255

PAYLOAD_FOOTER_BYTES: Final = 10

NO_EXPIRE: Final = -1

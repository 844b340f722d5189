"""Reads an RDB file from a stream and tells a visitor what stands in it, in order.

Owns the frame of the file: header, opcodes, attributes of keys, end, check sum. The values are `values.py`'s.
It judges the bytes and nothing else: whether a key has expired, or stands twice, is the visitor's to say.

Invariant: damage ends the reading with CorruptError(reason, offset). A file whose check sum is wrong is told
of only at its end; a visitor that must not keep half a file discards it on the error.
"""

from typing import Final, final

from mypy_extensions import i64, mypyc_attr

from gossamer.base.limits import Limits
from gossamer.datatypes.value import Value
from gossamer.rdb.format import (
    HEADER_BYTES,
    MAGIC_REDIS,
    MAGIC_VALKEY,
    NO_EXPIRE,
    OPCODE_AUX,
    OPCODE_EOF,
    OPCODE_EXPIRE_TIME,
    OPCODE_EXPIRE_TIME_MS,
    OPCODE_FREQUENCY,
    OPCODE_FUNCTION,
    OPCODE_FUNCTION_PRE_GA,
    OPCODE_IDLE,
    OPCODE_MODULE_AUX,
    OPCODE_RESIZE_DB,
    OPCODE_SELECT_DB,
    OPCODE_SLOT_IMPORT,
    OPCODE_SLOT_INFO,
    TYPE_MODULE_2,
    VERSION_FIRST,
    VERSION_LAST,
    VERSION_VALKEY,
    VERSION_WITH_AUX,
    VERSION_WITH_CHECKSUM,
)
from gossamer.rdb.functions import read_function
from gossamer.rdb.input import Input
from gossamer.rdb.modules import skip_module
from gossamer.rdb.values import Decoder

_MAX_DB_INDEX: Final = 0x7FFFFFFF
_ALL: Final = 1 << 40  # so many bytes at a time are no limit


@final
class KeyAttributes:
    """What stands beside a key and its value; one object, filled anew for each key."""

    def __init__(self) -> None:
        self.db_index: i64 = 0
        self.value_type: i64 = 0  # the type byte
        self.expire_at_ms: i64 = NO_EXPIRE
        self.idle_seconds: i64 = -1
        self.frequency: i64 = -1
        self.offset: i64 = 0  # of the type byte
        self.size_bytes: i64 = 0  # of type, key and value in the file


@mypyc_attr(allow_interpreted_subclasses=True)
class Visitor:
    """Is told what a file holds. Every method does nothing here."""

    def on_header(self, version: int, is_valkey: bool) -> None:
        """The version that the file states, and whether its magic is VALKEY's."""

    def on_aux(self, name: bytes, value: bytes) -> None:
        """An auxiliary field (`redis-ver`, `repl-id` ...)."""

    def on_database(self, index: i64) -> None:
        """The keys that follow belong to this database."""

    def on_sizes(self, keys: i64, expires: i64) -> None:
        """How many keys, and keys with an expiry, the current database holds: a hint."""

    def on_slot(self, slot: i64, keys: i64, expires: i64) -> None:
        """How many keys of a cluster slot follow: a hint."""

    def on_function(self, code: bytes) -> None:
        """A function library."""

    def on_module_aux(self, module_type: bytes) -> None:
        """Auxiliary data of a module, passed over."""

    def on_key(self, key: bytes, value: bytes | Value, attributes: KeyAttributes) -> None:
        """A key with its value: bytes for a string. `attributes` is used again for the next key."""

    def on_module_key(self, key: bytes, module_type: bytes, attributes: KeyAttributes) -> None:
        """A key whose value is a module's, passed over."""

    def on_end(self) -> None:
        """The file is complete and its check sum, if it has one, is right."""


@final
class Reader:
    """One pass over one file: `read_all` once, or `begin` and then `advance` until it is True."""

    def __init__(self, source: Input, visitor: Visitor, limits: Limits, verify_checksum: bool = True) -> None:
        self.source: Input = source
        self.visitor: Visitor = visitor
        self.decoder: Decoder = Decoder(limits)
        self.verify_checksum: bool = verify_checksum
        self.version: i64 = 0
        self.is_valkey: bool = False
        self.attributes: KeyAttributes = KeyAttributes()

    def read_all(self) -> None:
        """Read up to and with the end mark and the check sum; what follows is left unread."""
        self.begin()
        while not self.advance(_ALL):
            pass

    def begin(self) -> None:
        """Read the header."""
        if self.verify_checksum:
            self.source.start_checksum()
        self._read_header()

    def advance(self, limit_bytes: i64) -> bool:
        """Go on until at least so many bytes more were read; True when the file is complete."""
        source = self.source
        attributes = self.attributes
        stop = source.offset() + limit_bytes
        while source.offset() < stop:
            code = source.byte()
            if code >= OPCODE_SLOT_IMPORT:
                if code == OPCODE_EOF:
                    self._read_checksum()
                    self.visitor.on_end()
                    return True
                self._read_opcode(code)
                continue
            attributes.offset = source.offset() - 1
            attributes.value_type = code
            key = source.string()
            if code == TYPE_MODULE_2:
                module_type = skip_module(source)
                attributes.size_bytes = source.offset() - attributes.offset
                self.visitor.on_module_key(key, module_type, attributes)
            else:
                value = self.decoder.read(source, code)
                attributes.size_bytes = source.offset() - attributes.offset
                self.visitor.on_key(key, value, attributes)
            attributes.expire_at_ms = NO_EXPIRE
            attributes.idle_seconds = -1
            attributes.frequency = -1
        return False

    def _read_header(self) -> None:
        source = self.source
        header = source.take(HEADER_BYTES)
        self.is_valkey = header.startswith(MAGIC_VALKEY)
        if not self.is_valkey and not header.startswith(MAGIC_REDIS):
            raise source.fail_at("Not an RDB file: wrong magic", 0)
        magic_bytes = len(MAGIC_VALKEY) if self.is_valkey else len(MAGIC_REDIS)
        version: i64 = 0
        for digit in header[magic_bytes:]:
            if digit < 48 or digit > 57:
                raise source.fail_at("Version of the file is not a number", magic_bytes)
            version = version * 10 + (digit - 48)
        if self.is_valkey:
            if version != VERSION_VALKEY:
                raise source.fail_at("Version of the file is not known", magic_bytes)
        elif version < VERSION_FIRST or version > VERSION_LAST:
            raise source.fail_at("Version of the file is not known", magic_bytes)
        self.version = version
        self.decoder.is_valkey = self.is_valkey
        self.visitor.on_header(int(version), self.is_valkey)

    def _read_opcode(self, code: i64) -> None:
        source = self.source
        if code < OPCODE_EXPIRE_TIME_MS and self.version < VERSION_WITH_AUX:
            # A bit that makes 0001 of 0011 also takes the check sum away: this tells all the same.
            raise source.fail_at("Opcode is newer than the file's version", source.offset() - 1)
        attributes = self.attributes
        if code == OPCODE_EXPIRE_TIME_MS:
            attributes.expire_at_ms = source.int64()
        elif code == OPCODE_EXPIRE_TIME:
            attributes.expire_at_ms = source.int32() * 1000
        elif code == OPCODE_FREQUENCY:
            attributes.frequency = source.byte()
        elif code == OPCODE_IDLE:
            attributes.idle_seconds = source.length()
        elif code == OPCODE_SELECT_DB:
            index = source.length()
            if index > _MAX_DB_INDEX:
                raise source.fail("Index of a database is out of range")
            attributes.db_index = index
            self.visitor.on_database(index)
        elif code == OPCODE_RESIZE_DB:
            keys = source.length()
            self.visitor.on_sizes(keys, source.length())
        elif code == OPCODE_AUX:
            name = source.string()
            self.visitor.on_aux(name, source.string())
        elif code == OPCODE_FUNCTION or code == OPCODE_FUNCTION_PRE_GA:
            self.visitor.on_function(read_function(source, code))
        elif code == OPCODE_MODULE_AUX:
            self.visitor.on_module_aux(skip_module(source))
        elif code == OPCODE_SLOT_INFO:
            slot = source.length()
            keys = source.length()
            self.visitor.on_slot(slot, keys, source.length())
        elif self.is_valkey:
            self._skip_slot_import()
        else:
            raise source.fail_at("Unknown opcode", source.offset() - 1)

    def _skip_slot_import(self) -> None:
        """A slot migration of VALKEY that was under way: its name, and ranges of slots."""
        source = self.source
        source.skip_string()
        ranges = source.count(2)
        while ranges > 0:
            source.length()
            source.length()
            ranges -= 1

    def _read_checksum(self) -> None:
        if self.version < VERSION_WITH_CHECKSUM:
            return
        source = self.source
        computed = source.checksum() if self.verify_checksum else 0
        offset = source.offset()
        stated = source.uint64()
        if self.verify_checksum and stated != 0 and stated != computed:
            raise source.fail_at("Wrong check sum of the file", offset)

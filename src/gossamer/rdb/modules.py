"""Values and auxiliary data of modules: recognised and passed over, never understood.

value:  type id (length form, 64 bits) | opcode datum | ... | 0
id:     nine characters of six bits each, then ten bits of the module's own version
"""

from typing import Final

from mypy_extensions import i64

from gossamer.rdb.format import (
    MODULE_DOUBLE,
    MODULE_EOF,
    MODULE_FLOAT,
    MODULE_SINT,
    MODULE_STRING,
    MODULE_UINT,
)
from gossamer.rdb.input import Input

_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def skip_module(source: Input) -> bytes:
    """Pass over a module's datum, whatever it holds; the name of its type."""
    module_id = source.unsigned()
    while True:
        opcode: i64 = source.length()
        if opcode == MODULE_EOF:
            return module_type_name(module_id)
        if opcode == MODULE_SINT or opcode == MODULE_UINT:
            source.unsigned()
        elif opcode == MODULE_FLOAT:
            source.take(4)
        elif opcode == MODULE_DOUBLE:
            source.take(8)
        elif opcode == MODULE_STRING:
            source.skip_string()
        else:
            raise source.fail("Unknown opcode inside a module's value")


def module_type_name(module_id: int) -> bytes:
    """The nine characters that a module's type id stands for."""
    number = module_id >> 10
    name = ""
    for _ in range(9):
        name = _ALPHABET[number & 63] + name
        number >>= 6
    return name.encode("ascii")

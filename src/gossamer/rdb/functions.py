"""Function libraries in RDB: one string of code each, behind its opcode.

Before the release of 7.0 the name and the engine stood beside the code; today they stand in its first line:

    F5 | "#!lua name=mylib\\n..."
    F6 | name | engine | has description (length) | [description] | code
"""

from mypy_extensions import i64

from gossamer.rdb.format import OPCODE_FUNCTION
from gossamer.rdb.input import Input
from gossamer.rdb.output import Output


def read_function(source: Input, opcode: i64) -> bytes:
    """The code of a library, with its first line `#!engine name=...`."""
    if opcode == OPCODE_FUNCTION:
        return source.string()
    name = source.string()
    engine = source.string()
    if source.length() != 0:
        source.skip_string()
    code = source.string()
    return b"#!" + engine.lower() + b" name=" + name + b"\n" + code


def write_function(output: Output, code: bytes) -> None:
    output.byte(OPCODE_FUNCTION)
    output.string(code)

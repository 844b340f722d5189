"""Function libraries in RDB: one string of code each, behind its opcode.

Before the release of 7.0 the name and the engine stood beside the code; today they stand in its first line:

    F5 | "#!lua name=mylib\\n..."
    F6 | name | engine | has description (length) | [description] | code
"""

from mypy_extensions import i64

from gossamer.rdb.crc64 import crc64
from gossamer.rdb.format import OPCODE_FUNCTION, PAYLOAD_FOOTER_BYTES
from gossamer.rdb.input import Input
from gossamer.rdb.lzf import Compressor
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


def dump_functions(codes: list[bytes], version: int) -> bytes:
    """FUNCTION DUMP's payload: the libraries one after the other, and the footer that a DUMP has."""
    output = Output(version, Compressor())
    for code in codes:
        write_function(output, code)
    body = output.drain() + version.to_bytes(2, "little")
    return body + crc64(body).to_bytes(8, "little")


def restore_functions(payload: bytes) -> list[bytes]:
    """The code of the libraries in a payload whose footer is right; raises CorruptError."""
    source = Input(payload[: len(payload) - PAYLOAD_FOOTER_BYTES], None, -1, True)
    codes: list[bytes] = []
    while not source.at_end():
        opcode = source.byte()
        if opcode != OPCODE_FUNCTION:
            raise source.fail("Not a function library")
        codes.append(read_function(source, opcode))
    return codes

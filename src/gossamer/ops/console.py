"""Lines for people, on standard output and standard error, and their answers.

Invariant: whatever a file's name or content is, a line that is shown is one line of printable characters: bytes from
a damaged file must not command a terminal.
"""

import sys
from typing import TextIO


def printable(text: str, encoding: str = "utf-8") -> str:
    """The text with everything escaped that is not printable, or not in the encoding."""
    if not text.isprintable():
        text = "".join([c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text])
    return text.encode(encoding, "backslashreplace").decode(encoding)


def write_line(stream: TextIO, text: str) -> None:
    stream.write(printable(text, stream.encoding or "ascii") + "\n")


def say(text: str) -> None:
    """A line on standard output."""
    write_line(sys.stdout, text)


def complain(text: str) -> None:
    """A line on standard error."""
    sys.stdout.flush()
    write_line(sys.stderr, text)


def ask(question: str) -> str:
    """An answer from standard input; none where it ends."""
    try:
        return input(question)
    except (EOFError, UnicodeDecodeError):
        say("")
        return ""

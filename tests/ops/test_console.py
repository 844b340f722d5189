"""What is shown is printable, whatever it is."""

import pytest

from gossamer.ops.console import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("größer", "größer"),
        ("\x1b[2Jgone\r\n", "\\x1b[2Jgone\\r\\n"),
        ("a\udcffb", "a\\udcffb"),
        ("\u202e\x00", "\\u202e\\x00"),
    ],
)
def test_what_is_not_printable_is_escaped(text: str, shown: str):
    assert printable(text) == shown


def test_what_the_encoding_does_not_know_is_escaped():
    assert printable("größer", "ascii") == "gr\\xf6\\xdfer"

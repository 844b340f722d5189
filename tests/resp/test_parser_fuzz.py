"""A few thousand of the inputs that `python -m support.parser_fuzz` tries by the million."""

import pytest

from gossamer.base.limits import Limits
from support.parser_fuzz import LARGE, campaign, check


@pytest.mark.parametrize("seed", range(4))
def test_no_input_breaks_the_parser_and_cuts_change_nothing(seed: int) -> None:
    refused = campaign(2500, seed)
    assert 200 < refused < 2300


@pytest.mark.parametrize("size", LARGE)
@pytest.mark.parametrize("form", [b"SET k %s\r\n", b"*%s\r\n", b"*1\r\n$%s\r\n", b"%s", b"*1\r\n$%s", b"*%s"])
def test_a_line_of_any_length_is_judged_alike_however_it_is_cut(form: bytes, size: int) -> None:
    data = form % (b"1" * size) + b"PING\r\n"
    for cut in (1, 16384, size - 1, size, len(data) - 1):
        check(data, [min(cut, len(data))], Limits(), True)


@pytest.mark.parametrize("size", LARGE)
def test_a_long_argument_is_whole_however_it_is_cut(size: int) -> None:
    data = b"*2\r\n$3\r\nSET\r\n$%d\r\n%s\r\nPING\r\n" % (size, b"x" * size)
    for cut in (20, 25, size, size + 22, size + 24, size + 25, size + 26, len(data) - 1):
        check(data, [min(cut, len(data))], Limits(), True)

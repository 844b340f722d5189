"""LCS against the plain dynamic programme."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossamer.base.errors import CommandError
from gossamer.commands import strings
from gossamer.commands.lcs import growth_rows, lcs_length, lcs_matches
from support.caller import Caller

texts = st.one_of(
    st.text("ab", max_size=40), st.text("abcd", min_size=55, max_size=90), st.text("abcdefgh", max_size=10)
).map(str.encode)


def plain_lcs(first: bytes, second: bytes) -> tuple[int, bytes]:
    """Length and subsequence by the textbook, with Redis's choice where both ways are as good."""
    best = [[0] * (len(second) + 1) for _ in range(len(first) + 1)]
    for i, left in enumerate(first):
        for j, right in enumerate(second):
            best[i + 1][j + 1] = best[i][j] + 1 if left == right else max(best[i][j + 1], best[i + 1][j])
    taken = bytearray()
    i, j = len(first), len(second)
    while i and j:
        if first[i - 1] == second[j - 1]:
            taken.append(first[i - 1])
            i, j = i - 1, j - 1
        elif best[i - 1][j] > best[i][j - 1]:
            i -= 1
        else:
            j -= 1
    return best[-1][-1], bytes(taken[::-1])


@given(texts, texts)
@settings(max_examples=200, deadline=None)
def test_the_bit_rows_lead_to_the_same_subsequence(first: bytes, second: bytes) -> None:
    rows = growth_rows(first, second)
    matches = lcs_matches(rows, first, second)
    common = b"".join(first[m.first : m.first + m.length] for m in reversed(matches))
    assert (lcs_length(rows, second), common) == plain_lcs(first, second)
    for match in matches:
        end = match.first + match.length
        assert first[match.first : end] == second[match.second : match.second + match.length]


def test_the_matrix_is_refused_where_redis_would_refuse_it() -> None:
    caller = Caller((strings.COMMANDS,))
    caller.limits.proto_max_bulk_len_bytes = 1_000_000
    caller.call("SET", "a", b"x" * 499)
    caller.call("SET", "b", b"x" * 499)
    assert caller.call("LCS", "a", "b", "LEN") == 499
    caller.call("APPEND", "a", b"x")
    with pytest.raises(CommandError, match="transient memory for LCS exceeds proto-max-bulk-len"):
        caller.call("LCS", "a", "b", "LEN")

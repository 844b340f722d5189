"""What the libraries of scripts say to arguments that are missing, wrong, or nearly right."""

from __future__ import annotations

import pytest

from conformance.conftest import Pair

pytestmark = pytest.mark.peers

PACKED = "cmsgpack.pack(1, 2, 3)"
CALLS = [
    "cmsgpack.unpack()",
    "cmsgpack.unpack(nil)",
    "cmsgpack.unpack({})",
    "cmsgpack.unpack(12)",
    "cmsgpack.unpack_one()",
    "cmsgpack.unpack_one(nil)",
    "cmsgpack.unpack_one('a', 'x')",
    f"cmsgpack.unpack_one({PACKED}, '1')",
    f"cmsgpack.unpack_one({PACKED}, 1.7)",
    f"cmsgpack.unpack_one({PACKED}, -0.5)",
    f"cmsgpack.unpack_one({PACKED}, -1)",
    "cmsgpack.unpack_limit()",
    "cmsgpack.unpack_limit(1)",
    "cmsgpack.unpack_limit('a', nil)",
    "cmsgpack.unpack_limit(nil, 1)",
    "cmsgpack.unpack_limit('a', 1, {})",
    "cmsgpack.unpack_limit('a', 'b')",
    f"cmsgpack.unpack_limit({PACKED}, '2')",
    f"cmsgpack.unpack_limit({PACKED}, 2.9, 1)",
    f"cmsgpack.unpack_limit({PACKED}, -2)",
    f"cmsgpack.unpack_limit({PACKED}, 1, 9)",
]


@pytest.mark.parametrize("compat", ["redis:7.0", "valkey:8.0"])
def test_libraries_refuse_the_same_arguments_in_the_same_words(compat: str, targets: Pair) -> None:
    ours, theirs = targets(compat)
    wrong = []
    for call in CALLS:
        script = f"return {{{call}}}"
        mine, other = (side.control().call("EVAL", script, "0") for side in (ours, theirs))
        if mine.raw != other.raw:
            wrong.append(f"{call}: {mine.raw!r} instead of {other.raw!r}")
    assert wrong == []

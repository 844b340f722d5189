"""HyperLogLogs: the same PFADDs leave the same bytes, which are compared with the rest of the content."""

from hypothesis import strategies as st

from conformance.arguments import Group, about_one_key, command, either, key, many, snippet, value, weighted

element = weighted(
    (6, st.integers(0, 3000).map(lambda n: b"element:%d" % n)),
    (2, st.binary(max_size=20)),
    (1, value),
)
# Bytes that begin like a HyperLogLog and are damaged behind, or none at all.
HEAD = b"HYLL\x01" + bytes(3) + b"\x03" + bytes(7)
STALE_HEAD = b"HYLL\x01" + bytes(10) + b"\x80"
DAMAGED = [
    b"HYLL",
    b"HYLL" + bytes(12),
    b"HYLL\x00" + bytes(10) + b"\x80" + bytes(100),
    b"HYLL\x02" + bytes(11) + b"\x7f\xff",
    b"hyll\x01" + bytes(11) + b"\x7f\xff",
    HEAD,
    STALE_HEAD,
    HEAD + b"\x7f\xff",
    STALE_HEAD + b"\x7f\xff",
    STALE_HEAD + b"\x7f\xfe",
    STALE_HEAD + b"\x7f\xfe\x84",
    STALE_HEAD + b"\x7f\xfe\x85",
    STALE_HEAD + b"\x7f\xff\x00",
    STALE_HEAD + b"\x7f\xff" * 4,
    STALE_HEAD + b"\x00" * 300,
    STALE_HEAD + b"\x3f" * 256,
    STALE_HEAD + b"\x83" * 4096,
    STALE_HEAD + b"\xff" * 4096,
    b"HYLL\x00" + bytes(10) + b"\x80" + b"\xff" * 12288,
    b"HYLL\x00" + bytes(10) + b"\x80" + b"\x41\x10\x04" * 4096,
    b"HYLL\x00" + bytes(3) + b"\xff" * 7 + b"\x7f" + bytes(12288),
    b"HYLL\x00" + bytes(10) + b"\x80" + bytes(12289),
]
damaged = st.sampled_from(DAMAGED)


@st.composite
def a_run_of_elements(draw: st.DrawFn) -> tuple[bytes, ...]:
    first = draw(st.integers(0, 5000))
    return tuple(b"element:%d" % n for n in range(first, first + draw(st.sampled_from([50, 300, 1500]))))


COMMANDS = [
    command("PFADD", key, many(element, 0, 8), weight=10),
    command("PFADD", key, a_run_of_elements(), weight=4, mangle=False),
    command("PFCOUNT", key, weight=4),
    command("PFCOUNT", many(key, 2, 4), weight=3),
    command("PFMERGE", key, many(key, 0, 3), weight=5),
    command("PFDEBUG", either("ENCODING", "DECODE", "decode", "TODENSE", "GETREG", "NONE"), key, weight=4),
    about_one_key(("SET", key, damaged), ("PFCOUNT", key), weight=2),
    about_one_key(("SET", key, damaged), ("PFCOUNT", key, b"e"), ("PFDEBUG", "ENCODING", key)),
    about_one_key(("SET", key, damaged), ("PFDEBUG", "TODENSE", key), ("PFMERGE", b"e", key, b"d")),
    about_one_key(("SET", key, damaged), ("PFADD", key, element), ("PFCOUNT", key)),
    snippet(("GET", key), ("STRLEN", key)),
    command("SET", key, damaged, weight=1),
    command("SETRANGE", key, either("8", "15"), either("\x00", "\x80", "\x07")),
    command("OBJECT ENCODING", key),
    command("COPY", key, key, "REPLACE", weight=1),
]
GROUP = Group("hyperloglog", COMMANDS, config={"hll-sparse-max-bytes": "300"}, length=30)

"""Lists in nodes of at most 4 KiB: elements of every size, up to those that cannot share a node."""

from hypothesis import strategies as st

from conformance.arguments import Group, command, either, key, many, number

SIZES = [1, 20, 100, 500, 1000, 2000, 2047, 2048, 4070, 4088, 4089, 4095, 4096, 4097, 5000]
large = st.sampled_from([letter * size for size in SIZES for letter in (b"x", b"y")])
element = st.one_of(either("a", "b", "12345", "-3"), large)
place = number(0, 1, 2, 5, 10, -1, -2, -5)

COMMANDS = [
    command("LPUSH", key, many(element, 1, 12), weight=5),
    command("RPUSH", key, many(element, 1, 12), weight=5),
    command("LPOP", key, number(1, 2, 5), weight=3),
    command("RPOP", key, number(1, 2, 5), weight=3),
    command("LSET", key, place, element, weight=5),
    command("LINSERT", key, either("BEFORE", "AFTER"), element, element, weight=8),
    command("LREM", key, number(0, 1, -1), element, weight=3),
    command("LTRIM", key, number(0, 1, 2), number(-1, -2, -3), weight=2),
    command("LINDEX", key, place, weight=2),
    command("LRANGE", key, place, place, weight=2),
    command("LMOVE", key, key, either("LEFT", "RIGHT"), either("LEFT", "RIGHT"), weight=3),
    command("OBJECT ENCODING", key, weight=6),
]

GROUP = Group("lists_by_bytes", COMMANDS, seeds=False, config={"list-max-listpack-size": "-1"})

"""Lists in nodes of at most four elements: every command and form that does not wait."""

from conformance.arguments import (
    SMALL_ENCODINGS,
    Entry,
    Group,
    command,
    count,
    counted,
    either,
    index,
    integer,
    key,
    many,
    number,
    options,
    value,
    weighted,
)

element = weighted((4, either("a", "b", "c", "1", "2", "-7", "300", "")), (1, value))
end = weighted((9, either("LEFT", "RIGHT", "left", "Right")), (1, either("", "MIDDLE", "BEFORE")))
side = weighted((9, either("BEFORE", "AFTER", "before")), (1, either("", "LEFT")))


def list_commands(pushes: int) -> list[Entry]:
    """The grammar; `pushes` is the most elements of one push."""
    return [
        command("LPUSH", key, many(element, 1, pushes), weight=5),
        command("RPUSH", key, many(element, 1, pushes), weight=5),
        command("LPUSHX", key, many(element, 1, pushes)),
        command("RPUSHX", key, many(element, 1, pushes)),
        command("LPOP", key, weight=4),
        command("RPOP", key, weight=4),
        command("LPOP", key, count),
        command("RPOP", key, count),
        command("LLEN", key),
        command("LINDEX", key, index, weight=3),
        command("LINDEX", key, integer, weight=1),
        # Beyond 32 bits the real server since 7.2 cuts the index; here it stays out of range.
        command("LSET", key, either("0", "1", "2", "-1", "-3", "100", "-100", "x", ""), element, weight=4),
        command("LINSERT", key, side, element, element, weight=5),
        command("LRANGE", key, index, index, weight=4),
        command("LRANGE", key, integer, integer, weight=1),
        command("LTRIM", key, index, index, weight=3),
        command("LREM", key, count, element, weight=4),
        command("LREM", key, integer, element, weight=1),
        command("LPOS", key, element, weight=2),
        command(
            "LPOS", key, element, options(("RANK", index), ("COUNT", count), ("MAXLEN", count)), weight=6
        ),
        command("LPOS", key, element, options(("RANK", integer), ("COUNT", integer), ("MAXLEN", integer))),
        command("LMOVE", key, key, end, end, weight=4),
        command("RPOPLPUSH", key, key),
        command("LMPOP", counted(key), end, weight=2),
        command("LMPOP", counted(key), end, "COUNT", number(1, 2, 3, 100), weight=3),
        command("LMPOP", counted(key), end, options(("COUNT", integer))),
        command("OBJECT ENCODING", key, weight=2),
        command("TYPE", key, weight=1),
        command("COPY", key, key, "REPLACE", weight=1),
    ]


GROUP = Group("lists", list_commands(6), config=SMALL_ENCODINGS)

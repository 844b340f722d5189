"""The declarative record of a command: what COMMAND tells of it, and what dispatch needs to route it.

Owns the vocabulary of flags, key specifications and ACL categories (Redis 7.2's). Every command stands in the
COMMANDS tuple at the foot of its own file; nothing registers itself on import.
"""

from collections.abc import Callable
from typing import Any, Final

from librt.vecs import vec
from mypy_extensions import i64

Handler = Callable[[Any, list[bytes]], None]
# Positions of keys with what is done to each, where no KeySpec can say it (key_positions.py).
KeyFinder = Callable[[list[bytes]], list[tuple[int, tuple[str, ...]]]]

# Flags in the order in which COMMAND prints them.
FLAG_NAMES: Final = (
    "write", "readonly", "denyoom", "module", "admin", "pubsub", "noscript", "blocking", "loading", "stale",
    "skip_monitor", "skip_slowlog", "asking", "fast", "no_auth", "may_replicate", "no_mandatory_keys",
    "no_async_loading", "no_multi", "movablekeys", "allow_busy", "touches_arbitrary_keys", "protected",
    "sentinel", "only_sentinel",
)  # fmt: skip

WRITE: Final = 1 << 0
READONLY: Final = 1 << 1
DENYOOM: Final = 1 << 2
ADMIN: Final = 1 << 4
PUBSUB: Final = 1 << 5
NOSCRIPT: Final = 1 << 6
BLOCKING: Final = 1 << 7
LOADING: Final = 1 << 8
STALE: Final = 1 << 9
SKIP_MONITOR: Final = 1 << 10
SKIP_SLOWLOG: Final = 1 << 11
FAST: Final = 1 << 13
NO_AUTH: Final = 1 << 14
MAY_REPLICATE: Final = 1 << 15
NO_ASYNC_LOADING: Final = 1 << 17
NO_MULTI: Final = 1 << 18
MOVABLE_KEYS: Final = 1 << 19
ALLOW_BUSY: Final = 1 << 20
PROTECTED: Final = 1 << 22


class KeySpec:
    """Where keys stand in the arguments and what is done with them (Redis: "Command key specifications").

    begin: `index` > 0, or `keyword` searched from `start_from`. find: a range (last relative to the first
    key, or negative from the end; step; limit), or a count of keys (`count_at` relative to begin, -1: none).
    """

    def __init__(
        self,
        flags: str,
        index: int = 0,
        keyword: bytes = b"",
        start_from: int = 0,
        last: int = 0,
        step: int = 1,
        limit: int = 0,
        count_at: int = -1,
        first: int = 0,
        unknown_begin: bool = False,
        unknown_find: bool = False,
        notes: bytes = b"",
    ) -> None:
        self.flags: tuple[str, ...] = tuple(flags.split())
        self.index = index
        self.keyword = keyword
        self.start_from = start_from
        self.last = last
        self.step = step
        self.limit = limit
        self.count_at = count_at
        self.first = first
        self.unknown_begin = unknown_begin
        self.unknown_find = unknown_find
        self.notes = notes


class Command:
    """One command or subcommand. `arity` counts the name (and the container's); negative means at least.

    `flags` and `categories` are blank-separated names; categories that follow from flags (@write, @read,
    @fast, @slow, @admin, @dangerous, @pubsub, @blocking) are added by implicit_categories().
    `min_compat` and `max_compat` bound the versions (70, 72, 80) in which the command exists; a `newer` command
    came with a later server than any of these and is there whatever version is answered as.
    """

    def __init__(
        self,
        name: bytes,
        function: Handler | None,
        arity: int,
        flags: str,
        categories: str,
        keys: tuple[KeySpec, ...] = (),
        tips: tuple[bytes, ...] = (),
        subcommands: "tuple[Command, ...]" = (),
        key_finder: KeyFinder | None = None,
        min_compat: int = 70,
        max_compat: int = 99,
        newer: bool = False,
    ) -> None:
        self.name: bytes = name
        self.full_name: bytes = name
        self.in_container: bool = False
        self.function: Handler | None = function
        self.arity: i64 = arity
        self.flag_names: tuple[str, ...] = tuple(flags.split())
        self.flags: i64 = 0
        for flag in self.flag_names:
            self.flags |= 1 << FLAG_NAMES.index(flag)
        self.categories: tuple[str, ...] = tuple(categories.split())
        self.keys = keys
        self.tips = tips
        self.key_finder = key_finder
        self.min_compat = min_compat
        self.max_compat = max_compat
        self.newer = newer
        self.declared_subcommands = subcommands  # of every compat; `subcommands` holds those in use
        self.subcommands: dict[bytes, Command] = {}
        for sub in subcommands:
            sub.full_name = name + b"|" + sub.name
            sub.in_container = True
            self.subcommands[sub.name] = sub
        # Statistics of the running server (INFO commandstats, latencystats).
        self.calls: i64 = 0
        self.rejected_calls: i64 = 0
        self.failed_calls: i64 = 0
        self.total_us: i64 = 0
        self.histogram: vec[i64] = vec[i64]()  # see engine/statistics.py; empty until it is called

    def exists_in(self, compat: int) -> bool:
        return self.min_compat <= compat <= self.max_compat

    def copy_for(self, compat: int) -> "Command":
        """A record of its own for one server: fresh statistics, the subcommands that `compat` has."""
        return Command(
            self.name,
            self.function,
            self.arity,
            " ".join(self.flag_names),
            " ".join(self.categories),
            self.keys,
            self.tips,
            tuple(sub.copy_for(compat) for sub in self.declared_subcommands if sub.exists_in(compat)),
            self.key_finder,
            self.min_compat,
            self.max_compat,
            self.newer,
        )


# The order in which COMMAND prints ACL categories.
CATEGORY_ORDER: Final = (
    "keyspace", "read", "write", "set", "sortedset", "list", "hash", "string", "bitmap", "hyperloglog", "geo",
    "stream", "pubsub", "admin", "fast", "slow", "blocking", "dangerous", "connection", "transaction",
    "scripting",
)  # fmt: skip


def implicit_categories(command: Command) -> tuple[str, ...]:
    """All ACL categories of a command, without '@': those declared and those that follow from its flags."""
    found = set(command.categories)
    flags = command.flag_names
    if "write" in flags:
        found.add("write")
    if "readonly" in flags and "scripting" not in found:
        found.add("read")
    if "admin" in flags:
        found.update(("admin", "dangerous"))
    if "pubsub" in flags:
        found.add("pubsub")
    if "blocking" in flags:
        found.add("blocking")
    found.add("fast" if "fast" in flags else "slow")
    return tuple(name for name in CATEGORY_ORDER if name in found)


def build_table(groups: tuple[tuple[Command, ...], ...], compat: int) -> dict[bytes, Command]:
    """The commands of one server by lower-case name: copies of what the groups declare for `compat`."""
    table: dict[bytes, Command] = {}
    for group in groups:
        for command in group:
            if command.exists_in(compat):
                assert command.name not in table, command.name
                table[command.name] = command.copy_for(compat)
    return table

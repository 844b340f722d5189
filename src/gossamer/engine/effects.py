"""Effects on their way to AOF and replicas: in order, as one unit or each alone, each to whom it is for.

An effect is an argument list and a number: the database that it ran in, with who is to hear of it above that
(redis.set_repl), or ~database for a message to subscribers. `Engine` collects them.
"""

from typing import Final

from mypy_extensions import i64

from gossamer.engine.doors import WriteFeed

HEARERS_SHIFT: Final = 40  # above the database: which kinds of feed hear of it; 0: all
DATABASE_MASK: Final = 0xFFFFFFFFFF


def tell(
    feed: WriteFeed, effects: list[list[bytes]], databases: list[i64], as_unit: bool, compat: i64
) -> None:
    """Hand effects to one feed."""
    n: i64 = len(effects)
    if as_unit and n > 0:
        if compat < 72:
            feed.select(databases[0] if databases[0] >= 0 else ~databases[0])
        feed.begin()
    for i in range(n):
        db_index: i64 = databases[i]
        if db_index >= 0:
            feed.feed(db_index, effects[i])
        else:
            feed.feed_message(~db_index, effects[i])
    if as_unit and n > 0:
        feed.end()


def effects_for(
    feed: i64, effects: list[list[bytes]], databases: list[i64]
) -> tuple[list[list[bytes]], list[i64]]:
    """What one kind of feed is to hear of effects that are not all for everybody."""
    own: list[list[bytes]] = []
    own_databases: list[i64] = []
    for i in range(len(effects)):
        db_index: i64 = databases[i]
        hearers: i64 = db_index >> HEARERS_SHIFT if db_index >= 0 else 0
        if hearers == 0 or hearers & feed:
            own.append(effects[i])
            own_databases.append(db_index if db_index < 0 else db_index & DATABASE_MASK)
    return own, own_databases

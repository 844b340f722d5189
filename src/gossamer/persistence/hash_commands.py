"""The commands that give fields their expire times: what an append only file without RDB base holds beside HMSET."""

from typing import Final

from mypy_extensions import i64

from gossamer.datatypes.hashes import Hash

FIELDS_PER_COMMAND: Final = 64


def commands_of_field_expiry(key: bytes, value: Hash) -> list[list[bytes]]:
    """HPEXPIREAT for every time at which fields of the hash expire, in order; none for a hash without such fields."""
    by_time: dict[int, list[bytes]] = {}
    for field, time_ms in value.expiring_fields():
        by_time.setdefault(time_ms, []).append(field)
    commands: list[list[bytes]] = []
    for time_ms in sorted(by_time):
        fields = by_time[time_ms]
        start: i64 = 0
        while start < len(fields):
            piece = fields[start : start + FIELDS_PER_COMMAND]
            commands.append([b"HPEXPIREAT", key, b"%d" % time_ms, b"FIELDS", b"%d" % len(piece), *piece])
            start += FIELDS_PER_COMMAND
    return commands

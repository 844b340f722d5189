"""Whom the server answers as (`compat`): the names and versions that clients are told."""

from typing import Final


class Personality:
    """One of the servers that Gossamer can pass for."""

    def __init__(self, name: str, number: int, server: bytes, version: bytes) -> None:
        self.name = name  # the value of the directive `compat`
        self.number = number  # Limits.compat
        self.server = server  # HELLO's `server`
        self.version = version
        self.master_word = b"master"
        self.is_valkey = server == b"valkey"

    def lua_constants(self) -> bytes:
        """The constants of a script's `redis` table, as NAME=value words; Valkey says that it is Redis 7.2.4."""
        redis_version = b"7.2.4" if self.is_valkey else self.version
        words = [b"REDIS_VERSION=" + redis_version, b"REDIS_VERSION_NUM=" + version_number(redis_version)]
        if self.is_valkey:
            words += [b"SERVER_NAME=valkey", b"VALKEY_VERSION=" + self.version]
            words += [b"VALKEY_VERSION_NUM=" + version_number(self.version)]
        return b" ".join(words)


def version_number(version: bytes) -> bytes:
    """7.0.15 -> 0x07000f in decimal."""
    major, minor, patch = (int(part) for part in version.split(b"."))
    return b"%d" % (major << 16 | minor << 8 | patch)


PERSONALITIES: Final = (
    Personality("redis:7.0", 70, b"redis", b"7.0.15"),
    Personality("redis:7.2", 72, b"redis", b"7.2.4"),
    Personality("valkey:8.0", 80, b"valkey", b"8.0.1"),
)


def personality_of(number: int) -> Personality:
    """The personality whose Limits.compat is `number`."""
    for personality in PERSONALITIES:
        if personality.number == number:
            return personality
    raise ValueError(f"no such personality: {number}")

"""The two exception trees: the peer's fault (a reply) and damaged input (an offset and a reason).

Anything else that is raised is a bug of ours: it costs one client its reply and is logged.
"""

from typing import Final

__all__: Final = ["CommandError", "ConfigError", "CorruptError", "GossamerError", "ProtocolError"]


class GossamerError(Exception):
    """Root of every error that Gossamer raises on purpose."""


class CommandError(GossamerError):
    """A command cannot be carried out; `message` is the whole error reply without the leading '-'."""

    def __init__(self, message: bytes) -> None:
        super().__init__(message)
        self.message = message


class ProtocolError(GossamerError):
    """The client broke the protocol: the reply is `-ERR Protocol error: <reason>`, then a close."""

    def __init__(self, reason: bytes) -> None:
        super().__init__(reason)
        self.reason = reason


class CorruptError(GossamerError):
    """Bytes of a file or a payload are damaged: where (offset in bytes) and why."""

    def __init__(self, reason: str, offset: int = -1) -> None:
        super().__init__(f"{reason} at offset {offset}" if offset >= 0 else reason)
        self.reason = reason
        self.offset = offset


class ConfigError(GossamerError):
    """A directive or its value cannot be accepted."""

"""What a configuration may ask for and this version cannot do: refused at the start, never passed over in silence.

A server that ignored these would look right and be wrong: a replica that takes writes, a cluster of one,
data that no log keeps.
"""

from typing import Final

from gossamer.base.errors import ConfigError
from gossamer.engine.config import Config
from gossamer.server.log import Log

NO_AOF: Final = "appendonly: the append only file is not available in this version; save points are"


def reasons_not_to_start(config: Config) -> list[str]:
    """A line for the log for each demand that cannot be met."""
    reasons: list[str] = []
    if config.flag("appendonly"):
        reasons.append(NO_AOF)
    if config.primary() is not None:
        reasons.append("replicaof: replication is not available in this version")
    if config.flag("cluster-enabled"):
        reasons.append("cluster-enabled: cluster mode is not available in this version")
    for _, _, words in config.modules:
        path = words[1].decode("utf-8", "replace")
        reasons.append(f"Can't load module from {path}: modules are not available")
    return reasons


class UnavailableAtRunTime:
    """Refuses the same of CONFIG SET."""

    def __init__(self, config: Config, log: Log) -> None:
        self.config = config
        self.log = log
        config.on_change("appendonly", self.check_append_only)

    def check_append_only(self) -> None:
        if self.config.flag("appendonly"):
            self.log.warning(NO_AOF)
            raise ConfigError("Unable to turn on AOF. Check server logs.")

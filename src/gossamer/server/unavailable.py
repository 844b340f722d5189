"""What a configuration may ask for and this version cannot do: refused at the start, never passed over in silence.

A server that ignored these would look right and be wrong: a cluster of one.
"""

from gossamer.engine.config import Config


def reasons_not_to_start(config: Config) -> list[str]:
    """A line for the log for each demand that cannot be met."""
    reasons: list[str] = []
    if config.flag("cluster-enabled"):
        reasons.append("cluster-enabled: cluster mode is not available in this version")
    for _, _, words in config.modules:
        path = words[1].decode("utf-8", "replace")
        reasons.append(f"Can't load module from {path}: modules are not available")
    return reasons

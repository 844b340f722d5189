"""What the kernel is told of this process for when memory runs out: oom-score-adj.

Owns: the score of this process and of its background children, by their role, and the score that the process
had before, which `no` brings back.
Must not know: why a role changes; whoever changes it calls `apply`.
"""

from typing import Final, final

from gossamer.base.errors import ConfigError
from gossamer.engine.config import Config
from gossamer.server.log import Log

OWN_SCORE: Final = "/proc/self/oom_score_adj"
LOWEST: Final = -1000
HIGHEST: Final = 1000
PRIMARY: Final = 0
REPLICA: Final = 1
BACKGROUND_CHILD: Final = 2
FAILED: Final = "Failed to apply new oom_score_adj configuration, check server logs."


@final
class OomScore:
    """Keeps the score as the configuration has it. Where it says `no`, the file is left alone."""

    def __init__(self, config: Config, log: Log, path: str = OWN_SCORE) -> None:
        self.config: Config = config
        self.log: Log = log
        self.path: str = path
        self.adjusted: bool = False
        self.base: int = 0  # the score before it was first adjusted

    def start(self) -> None:
        """Take the configured score; a kernel that refuses it does not keep the server from starting."""
        self.write_for(self.role())

    def apply(self) -> None:
        """The directives or the role changed. Raises ConfigError where the kernel refuses."""
        if not self.write_for(self.role()):
            raise ConfigError(FAILED)

    def apply_in_child(self) -> None:
        """This process is a background child."""
        self.write_for(BACKGROUND_CHILD)

    def role(self) -> int:
        return PRIMARY if self.config.primary() is None else REPLICA

    def write_for(self, role: int) -> bool:
        """Write the score of a role; False, with a line in the log, where that failed."""
        mode = self.config.choice("oom-score-adj")
        if mode == b"no" and not self.adjusted:
            return True
        try:
            if mode == b"no":
                score = self.base
            else:
                if not self.adjusted:
                    with open(self.path, encoding="ascii") as file:
                        self.base = int(file.read())
                scores = self.config.value("oom-score-adj-values")
                assert isinstance(scores, tuple)
                score = max(LOWEST, min(HIGHEST, scores[role] + (0 if mode == b"absolute" else self.base)))
            self.adjusted = mode != b"no"
            with open(self.path, "w", encoding="ascii") as target:
                target.write(f"{score}\n")
        except OSError as error:
            self.log.warning(f"Unable to write oom_score_adj: {error.strerror or error}")
            return False
        return True

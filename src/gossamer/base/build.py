"""Which modules are compiled, and whether this process runs them compiled.

Owns: the lists that the build reads (as text: they must stay literals) and the answer to "which mode?".
Invariant: an install has all hot modules compiled or none, so one of them speaks for all.
"""

from importlib.machinery import EXTENSION_SUFFIXES
from typing import Final

from gossamer.base import limits

# A name that ends in .* stands for every module of a package. A package is hot when commands run through it.
HOT_MODULES: Final = (
    "gossamer.base.*",
    "gossamer.resp.*",
    "gossamer.datatypes.*",
    "gossamer.rdb.*",
    "gossamer.keyspace.*",
    "gossamer.commands.*",
    "gossamer.engine.*",
    "gossamer.persistence.*",
    "gossamer.replication.*",
    "gossamer.server.*",
)

# Modules of those packages that stay interpreted: they run at start-up or for an administrator only, and are
# mostly literals, which cost the C compiler much and gain nothing.
COLD_MODULES: Final = (
    "gossamer.engine.command_docs",
    "gossamer.engine.config_directives",
)


def compiled() -> bool:
    """True where the hot modules run as machine code, False where the same files are interpreted."""
    return limits.__file__.endswith(tuple(EXTENSION_SUFFIXES))


def mode() -> str:
    """The mode in one word, as INFO, --version and the benchmarks print it."""
    return "compiled" if compiled() else "interpreted"

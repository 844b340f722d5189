"""Which modules are compiled, and whether this process runs them compiled.

Owns: the list that the build reads (as text: it must stay a literal) and everyone's answer to "which mode is this?".
Invariant: an install has all hot modules compiled or none, so one of them speaks for all.
"""

from importlib.machinery import EXTENSION_SUFFIXES
from typing import Final

from gossamer.base import limits

# A name that ends in .* stands for every module of the package. A new layer is hot when commands run through it.
HOT_MODULES: Final = (
    "gossamer.base.*",
    "gossamer.resp.*",
    "gossamer.datatypes.*",
    "gossamer.rdb.*",
    "gossamer.keyspace.*",
    "gossamer.commands.*",
    "gossamer.engine.*",
)


def compiled() -> bool:
    """True where the hot modules run as machine code, False where the same files are interpreted."""
    return limits.__file__.endswith(tuple(EXTENSION_SUFFIXES))


def mode() -> str:
    """The mode in one word, as INFO, --version and the benchmarks print it."""
    return "compiled" if compiled() else "interpreted"

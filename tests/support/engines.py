"""An engine without a server, for tests that ask it as clients do.

Owns: how such an engine is made, and Caller-like clients whose replies are parsed.
"""

from collections.abc import Sequence

from gossamer.base.clock import Clock, ManualClock
from gossamer.base.limits import Limits
from gossamer.base.rng import Random64
from gossamer.engine.doors import EngineHooks
from gossamer.engine.engine import Engine
from gossamer.server.command_table import all_commands
from support.wire import Reply, parse_one


class StrictHooks(EngineHooks):
    """Remembers bugs, which a server would only log."""

    def __init__(self) -> None:
        self.bugs: list[tuple[str, BaseException]] = []

    def log_bug(self, what: str, error: BaseException) -> None:
        self.bugs.append((what, error))


class Ticking(Clock):
    """A clock that a script cannot outrun: every look at it takes ten milliseconds."""

    def __init__(self) -> None:
        self.now = 1_700_000_000_000_000

    def now_us(self) -> int:
        self.now += 10_000
        return self.now


class Killer(StrictHooks):
    """Somebody else's connection, which kills the script when it is served."""

    def __init__(self, words: Sequence[bytes] = (b"SCRIPT", b"KILL")) -> None:
        super().__init__()
        self.engine: Engine | None = None
        self.words = list(words)

    def serve_others(self) -> bool:
        assert self.engine is not None
        client = self.engine.new_client()
        self.engine.execute(client, list(self.words))
        self.engine.free_client(client)
        return True


class EngineClient:
    """One client of an engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.client = engine.new_client()

    def call(self, *words: bytes | str | int) -> Reply:
        argv = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        out = self.client.reply.out
        out.truncate(0)
        self.engine.begin_iteration()
        self.engine.execute(self.client, argv)
        hooks = self.engine.hooks
        if isinstance(hooks, StrictHooks) and hooks.bugs:
            place, bug = hooks.bugs[0]
            raise AssertionError(f"{place}: {argv!r}") from bug
        return parse_one(out.getvalue())

    def answer(self, *words: bytes | str | int) -> object:
        """The value of the reply; of an error its text."""
        reply = self.call(*words)
        return reply.raw if reply.is_error else reply.plain()


def new_engine(clock: Clock | None = None, compat: int = 72, hooks: EngineHooks | None = None) -> Engine:
    limits = Limits()
    limits.compat = compat
    engine = Engine(clock or ManualClock(), limits, Random64(1), 4)
    engine.add_commands(all_commands())
    engine.hooks = hooks or StrictHooks()
    return engine


def new_client(compat: int = 72) -> EngineClient:
    """A client of an engine of its own."""
    return EngineClient(new_engine(compat=compat))


def killed_client(words: Sequence[bytes] = (b"SCRIPT", b"KILL")) -> EngineClient:
    """A client whose scripts are killed as soon as they are slow."""
    hooks = Killer(words)
    engine = new_engine(Ticking(), hooks=hooks)
    hooks.engine = engine
    return EngineClient(engine)

"""`gossamer serve`: from a command line to a running server."""

import gc
import sys

from gossamer.base.errors import ConfigError
from gossamer.engine.config_file import FileError, start
from gossamer.server.config_door import FileSystemDoor
from gossamer.server.listener import ListenError
from gossamer.server.log import Log
from gossamer.server.server import Server


def run(argv: list[str]) -> int:
    """Serve until told to stop; `argv` is what follows `gossamer serve`. Answers the exit status."""
    words = [word.encode("utf-8", "surrogateescape") for word in argv]
    try:
        config = start(words, FileSystemDoor())
    except FileError as error:
        sys.stderr.write(error.report(72))
        return 1
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    log = Log()
    log.configure(config.choice("loglevel"), config.text("logfile"))
    server = Server(config, log)
    server.raise_descriptor_limit()
    try:
        server.listen()
    except ListenError as error:
        log.warning(str(error))
        return 1
    server.memory.note_startup()
    log.notice("Ready to accept connections")
    collect_never()
    server.run()
    return 0


def collect_never() -> None:
    """Keep the cyclic garbage collector from ever walking the keyspace; our own objects make no cycles."""
    gc.collect()
    gc.freeze()
    gc.disable()

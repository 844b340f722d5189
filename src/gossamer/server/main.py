"""`gossamer serve`: from a command line to a running server, and its exit status.

Owns: the order of a start and of an end. Must not know: how any part works.
"""

import gc
import os
import sys
import traceback
from typing import Final

from gossamer import __version__
from gossamer.base import build
from gossamer.base.errors import ConfigError
from gossamer.engine.acl_access import UsersRefused
from gossamer.engine.config import Config
from gossamer.engine.config_file import FileError, UnreadableFile, start
from gossamer.server.config_door import FileSystemDoor
from gossamer.server.listener import ListenError
from gossamer.server.log import Log
from gossamer.server.persistence import LoadingFailed
from gossamer.server.process import (
    DEFAULT_PID_FILE,
    Launch,
    Signals,
    daemonize,
    remove_file,
    supervisor_of,
    tell_supervisor,
    write_pid_file,
)
from gossamer.server.server import Server
from gossamer.server.unavailable import reasons_not_to_start

HELP: Final = """Usage: gossamer serve [file.conf] [--directive value ...] [-]

Starts a server. It takes the configuration files and directives of redis-server; `-` as the first or the
last word reads directives from standard input. A word that begins with -- is a directive, and the words up to
the next one are its values.

  gossamer serve                                    port 6379, data in the current directory
  gossamer serve /etc/redis/redis.conf --port 7000
  gossamer serve --save 60 1000 --save 300 10 --appendonly yes
  gossamer serve --compat valkey:8.0                redis:7.0, redis:7.2 (the default) or valkey:8.0
  echo 'maxmemory 100mb' | gossamer serve -
  gossamer serve sentinel.conf --sentinel           a Sentinel, as gossamer sentinel is

  -v, --version   version and build mode
  -h, --help      this text"""

REFUSED: Final = {
    "--test-memory": "memory is not tested here; memtester and memtest86+ do it well",
    "--check-system": "the system is not checked here; what matters is logged at the start",
}


def run(argv: list[str]) -> int:
    """Serve until told to stop; the exit status."""
    first = argv[0] if argv else ""
    if first in ("-v", "--version"):
        print(f"Gossamer server v={__version__} mode={build.mode()} bits={64 if sys.maxsize > 2**32 else 32}")
        return 0
    if first in ("-h", "--help"):
        print(HELP)
        return 0
    for word in argv:
        if word in REFUSED:
            print(f"gossamer serve: {word}: {REFUSED[word]}", file=sys.stderr)
            return 1
    log = Log()
    launch = Launch()
    try:
        config = start([os.fsencode(word) for word in argv], FileSystemDoor())
    except FileError as error:
        sys.stderr.buffer.write(error.report().encode("utf-8", "surrogateescape"))
        return 1
    except UnreadableFile as unreadable:
        log.warning(str(unreadable))
        return 1
    supervisor = settle(config, log)
    return serve(config, log, supervisor, launch)


def settle(config: Config, log: Log) -> str:
    """Become the process that the configuration asks for, with its log; answers who supervises it."""
    supervisor = supervisor_of(config.choice("supervised"))
    background = config.flag("daemonize") and not supervisor
    if background:
        daemonize()
        if not config.text("pidfile"):
            config.put("pidfile", DEFAULT_PID_FILE)
    log.configure(config.choice("loglevel"), config.text("logfile"))
    if config.flag("syslog-enabled"):
        log.open_syslog(config.text("syslog-ident"), config.choice("syslog-facility"))
    config.on_change("loglevel", lambda: log.configure(config.choice("loglevel"), config.text("logfile")))
    return supervisor


def serve(config: Config, log: Log, supervisor: str, launch: Launch) -> int:
    """A whole life of a server, in this process."""
    announce(config, log)
    reasons = reasons_not_to_start(config)
    for reason in reasons:
        log.warning(reason)
    if reasons:
        return 1
    pid_file = config.text("pidfile")
    try:
        server = Server(config, log)
        server.launch = launch
        server.reception.raise_descriptor_limit()
        server.listen()
    except (ListenError, ConfigError, UsersRefused) as refusal:
        return refuse_start(refusal, config, log)
    if not server.listening.listeners:
        log.warning("Configured to not listen anywhere, exiting.")
        return 1
    server.memory.note_startup()
    log.server_started()
    if pid_file:
        problem = write_pid_file(pid_file)
        if problem:
            log.warning(f"Failed to write PID file: {problem}")
    signals = Signals(lambda name: stop_for_signal(server, log, name))
    server.shutdown.when_called_off.append(signals.stop_failed)
    server.loop.add(signals.descriptor, signals)
    tell_of_start(log, config)
    log.notice("Server initialized")
    try:
        server.load(lambda: tell_of_readiness(log, supervisor))
        collect_never()
        server.run()
    except LoadingFailed as failure:
        if pid_file:
            remove_file(pid_file)
            pid_file = b""
        log.warning(str(failure))  # the last line, where people look
        return 1
    except Exception:
        log.warning("The server ends because of a bug:")
        for line in traceback.format_exc().splitlines():
            log.warning(line)
        return 1
    finally:
        signals.close()
        if pid_file:
            log.notice("Removing the pid file.")
            remove_file(pid_file)
    log.warning("Gossamer is now ready to exit, bye bye...")
    return 0


def refuse_start(refusal: Exception, config: Config, log: Log) -> int:
    """Say why this server cannot be; the exit status."""
    if isinstance(refusal, FileError):
        sys.stderr.buffer.write(refusal.report().encode("utf-8", "surrogateescape"))
        return 1
    for line in str(refusal).splitlines():
        log.warning(line)
    if isinstance(refusal, ListenError):
        log.warning(f"Failed listening on port {config.number('port')} (TCP), aborting.")
    elif not isinstance(refusal, UsersRefused):
        log.warning("Failed to configure TLS. Check logs for more info.")
    return 1


def announce(config: Config, log: Log) -> None:
    """The first lines of a log."""
    log.warning("oO0OoO0OoO0Oo Gossamer is starting oO0OoO0OoO0Oo")
    log.warning(
        f"Gossamer version={__version__}, mode={build.mode()}, compat={config.choice('compat').decode()}, "
        f"pid={os.getpid()}, just started"
    )
    if config.config_file or len(sys.argv) > 1:
        log.warning("Configuration loaded")
    else:
        log.warning(
            "Warning: no config file specified, using the default config. In order to specify a config file "
            "use gossamer serve /path/to/redis.conf"
        )


def tell_of_start(log: Log, config: Config) -> None:
    """One line, or with always-show-logo, which the official test suite waits for, one for each fact."""
    port = config.number("port")
    if not config.flag("always-show-logo"):
        log.notice(f"Running mode=standalone, port={port}.")
        return
    log.notice(f"Gossamer {__version__}, Redis in typed Python")
    log.notice("Running in standalone mode")
    log.notice(f"Port: {port}")
    log.notice(f"PID: {os.getpid()}")


def tell_of_readiness(log: Log, supervisor: str) -> None:
    """The data set is loaded."""
    log.notice("Ready to accept connections")
    tell_supervisor(supervisor, "STATUS=Ready to accept connections\nREADY=1\n")


def stop_for_signal(server: Server, log: Log, name: str) -> None:
    """SIGTERM or SIGINT arrived. One that comes while a shutdown waits for replicas ends that wait."""
    log.warning(f"Received {name} scheduling shutdown...")
    options = "shutdown-on-sigint" if name == "SIGINT" else "shutdown-on-sigterm"
    words = server.config.choice(options).split()
    save = True if b"save" in words else False if b"nosave" in words else None
    now = b"now" in words or server.shutdown.waits
    server.shut_down(save, now, b"force" in words)


def collect_never() -> None:
    """Keep the cyclic garbage collector from ever walking the keyspace; our own objects make no cycles."""
    gc.collect()
    gc.freeze()
    gc.disable()

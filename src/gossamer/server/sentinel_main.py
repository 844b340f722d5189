"""`gossamer sentinel`: from a command line to a running Sentinel, and its exit status.

Owns: the order of a start and of an end. Must not know: how any part works.
"""

import os
import sys
import traceback
from typing import Final

from gossamer import __version__
from gossamer.base import build
from gossamer.base.errors import ConfigError
from gossamer.engine.acl_access import UsersRefused
from gossamer.engine.config import Config
from gossamer.engine.config_file import FileError, UnreadableFile
from gossamer.engine.config_file import start as read_configuration
from gossamer.sentinel.config import SentinelConfig
from gossamer.sentinel.instances import SentinelState
from gossamer.server.config_door import FileSystemDoor
from gossamer.server.listener import ListenError
from gossamer.server.log import Log
from gossamer.server.main import announce, refuse_start, settle
from gossamer.server.process import Signals, remove_file, tell_supervisor, write_pid_file
from gossamer.server.sentinel import SentinelServer

ROLE_LETTER: Final = "X"
HELP: Final = """Usage: gossamer sentinel sentinel.conf [--directive value ...]
   or: gossamer serve sentinel.conf --sentinel [--directive value ...]

Starts a Sentinel: it watches servers, and puts a replica in the place of a primary that is down. It takes the
file and the options of redis-sentinel, and keeps what it learns in that file, which it must be able to write.

  gossamer sentinel /etc/redis/sentinel.conf
  gossamer sentinel ./sentinel.conf --port 26380

  -v, --version   version and build mode
  -h, --help      this text

docs/sentinel.md tells how to set one up."""


def run(argv: list[str]) -> int:
    """Watch until told to stop; the exit status."""
    first = argv[0] if argv else ""
    if first in ("-v", "--version"):
        print(f"Gossamer sentinel v={__version__} mode={build.mode()}")
        return 0
    if first in ("-h", "--help"):
        print(HELP)
        return 0
    log = Log()
    log.role = ROLE_LETTER
    lines = SentinelConfig(SentinelState())
    try:
        words = [os.fsencode(word) for word in argv]
        config = read_configuration(words, FileSystemDoor(), sentinel_lines=lines)
    except FileError as error:
        sys.stderr.buffer.write(error.report().encode("utf-8", "surrogateescape"))
        return 1
    except UnreadableFile as unreadable:
        log.warning(str(unreadable))
        return 1
    supervisor = settle(config, log)
    announce(config, log)
    problem = file_problem(config)
    if problem:
        log.warning(problem)
        return 1
    return watch(config, lines, log, supervisor)


def file_problem(config: Config) -> str:
    """Why the state cannot be kept, or nothing."""
    path = os.fsdecode(config.config_file)
    if not path:
        return "Sentinel needs config file on disk to save state. Exiting..."
    for place in (path, os.path.dirname(path)):
        try:
            writable = os.access(place, os.W_OK)
            reason = "" if writable else os.strerror(13 if os.path.exists(place) else 2)
        except OSError as error:
            reason = error.strerror or str(error)
        if reason:
            # The directory counts too: the file is replaced as a whole.
            return f"Sentinel config file {path} is not writable: {place}: {reason}. Exiting..."
    return ""


def watch(config: Config, lines: SentinelConfig, log: Log, supervisor: str) -> int:
    """A whole life of a Sentinel, in this process."""
    try:
        server = SentinelServer(config, lines, log)
        server.reception.raise_descriptor_limit()
        server.listen()
    except (ListenError, ConfigError, UsersRefused) as refusal:
        return refuse_start(refusal, config, log)
    if not server.listening.listeners:
        log.warning("Configured to not listen anywhere, exiting.")
        return 1
    server.memory.note_startup()
    log.server_started()
    pid_file = config.text("pidfile")
    if pid_file:
        problem = write_pid_file(pid_file)
        if problem:
            log.warning(f"Failed to write PID file: {problem}")
    signals = Signals(lambda name: stop_for_signal(server, log, name))
    server.loop.add(signals.descriptor, signals)
    log.notice(f"Running mode=sentinel, port={config.number('port')}.")
    try:
        server.start()
        tell_supervisor(supervisor, "STATUS=Ready to accept connections\nREADY=1\n")
        server.run()
    except OSError as error:
        log.warning(f"Sentinel can't keep its state, it ends: {error.strerror or error}")
        return 1
    except Exception:
        log.warning("The Sentinel ends because of a bug:")
        for line in traceback.format_exc().splitlines():
            log.warning(line)
        return 1
    finally:
        signals.close()
        if pid_file:
            log.notice("Removing the pid file.")
            remove_file(pid_file)
    log.warning("Sentinel is now ready to exit, bye bye...")
    return 0


def stop_for_signal(server: SentinelServer, log: Log, name: str) -> None:
    """SIGTERM or SIGINT arrived."""
    log.warning(f"Received {name} scheduling shutdown...")
    server.shut_down()

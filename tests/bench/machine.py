"""The servers under measurement and what the kernel knows of them: CPU time, resident memory, cores.

Owns: starting a server for a benchmark, pinning processes to cores, reading /proc.
Must not know: what is measured with it.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from support.servers import ServerProcess, program_of

REFERENCE = "redis-server"
SUBJECT = "gossamer"
PEERS = (REFERENCE, "valkey-server")


class BenchmarkServer(ServerProcess):
    """A server under the name that it has in the tables, started by the given command."""

    def __init__(self, name: str, command: Sequence[str], arguments: Sequence[str] = ()) -> None:
        self.name = name
        self.command = list(command)
        super().__init__(name, arguments, start=False)

    def command_line(self) -> list[str]:
        fixed = ["--port", str(self.port), "--dir", str(self.directory), "--save", "", "--appendonly", "no"]
        return [*self.command, *fixed, *self.arguments]

    def info(self) -> dict[str, str]:
        with self.client() as client:
            text = client.call("INFO").plain().decode(errors="replace")
        return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)

    def description(self) -> str:
        """Its make, version and, for Gossamer, build mode, as it reports them itself."""
        info = self.info()
        if "gossamer_version" in info:
            mode = {"yes": "compiled", "no": "interpreted"}.get(
                info.get("gossamer_compiled", ""), "unknown mode"
            )
            python = ".".join(map(str, sys.version_info[:3]))
            return f"Gossamer {info['gossamer_version']} ({mode}, Python {python})"
        if "valkey_version" in info:
            return f"Valkey {info['valkey_version']}"
        return f"Redis {info.get('redis_version', '?')}"

    def cpu_ns(self) -> int:
        """Time on a core so far, of all its threads."""
        threads = Path(f"/proc/{self.pid}/task").iterdir()
        return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads)

    def resident_bytes(self) -> int:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise RuntimeError(f"no VmRSS of pid {self.pid}")

    def pin(self, core: int) -> None:
        for thread in Path(f"/proc/{self.pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), {core})


def chosen_commands(overrides: Sequence[str]) -> dict[str, list[str]]:
    """Name -> command for Gossamer and every peer that is installed; NAME=COMMAND adds one or replaces it."""
    commands = {name: [path] for name in PEERS if (path := shutil.which(name))}
    chosen = dict(override.partition("=")[::2] for override in overrides)
    if SUBJECT not in chosen:
        chosen = {SUBJECT: shlex.join(program_of(SUBJECT)), **chosen}
    return {**{name: shlex.split(command) for name, command in chosen.items() if command}, **commands}


def two_cores() -> tuple[int, int]:
    """One core for the servers, one for the client; the same one twice where there is only one."""
    cores = sorted(os.sched_getaffinity(0))
    return cores[0], cores[-1]


def machine_description() -> str:
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0))
    model = models[0] if models else platform.machine()
    return f"{model}, {cores} cores, {gigabytes:.0f} GiB, Linux {platform.release()}"

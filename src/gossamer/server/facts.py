"""What INFO tells of the process: its identity, its memory, its processor time, its sockets."""

import os
import platform
import resource
import sys
from typing import Final

from gossamer import __version__
from gossamer.base.build import compiled
from gossamer.engine.doors import InfoSource
from gossamer.engine.info import human_bytes, ratio
from gossamer.server.listener import Listener, describe_listeners
from gossamer.server.memory import MemoryAccount, resident_bytes

PAGE_BYTES: Final = 4096


def new_identity() -> bytes:
    """Forty random hexadecimal digits that name one run of a server, or one history of a data set."""
    return os.urandom(20).hex().encode()


class ProcessFacts(InfoSource):
    """Facts of this process; `run_id` names this run of the server."""

    def __init__(self, memory: MemoryAccount, listeners: list[Listener], port: int, run_id: bytes) -> None:
        self.memory = memory
        self.listeners = listeners
        self.port = port
        self.run_id = run_id

    def add_facts(self, facts: dict[bytes, bytes | int]) -> None:
        system = os.uname()
        facts[b"gossamer_version"] = __version__.encode()
        facts[b"gossamer_compiled"] = b"yes" if compiled() else b"no"
        facts[b"redis_build_id"] = b"gossamer-" + __version__.encode()
        facts[b"os"] = f"{system.sysname} {system.release} {system.machine}".encode()
        facts[b"arch_bits"] = 64 if sys.maxsize > 1 << 32 else 32
        facts[b"monotonic_clock"] = b"POSIX clock_gettime"
        facts[b"multiplexing_api"] = b"epoll" if sys.platform.startswith("linux") else b"select"
        facts[b"process_id"] = os.getpid()
        facts[b"run_id"] = self.run_id
        facts[b"tcp_port"] = self.port
        facts[b"executable"] = os.fsencode(os.path.abspath(sys.argv[0]))
        for number, description in enumerate(describe_listeners(self.listeners)):
            facts[b"listener%d" % number] = description
        facts[b"mem_allocator"] = f"cpython-{platform.python_version()}".encode()
        self.add_memory(facts)
        self.add_processor_time(facts)

    def add_memory(self, facts: dict[bytes, bytes | int]) -> None:
        memory = self.memory
        used = int(memory.used_bytes())
        resident = resident_bytes()
        startup = int(memory.startup_bytes)
        clients = int(memory.clients_bytes)
        overhead = startup + clients
        dataset = max(0, used - overhead)
        system = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        facts[b"used_memory"] = used
        facts[b"used_memory_human"] = human_bytes(used)
        facts[b"used_memory_rss"] = resident
        facts[b"used_memory_rss_human"] = human_bytes(resident)
        facts[b"used_memory_peak"] = int(memory.peak_bytes)
        facts[b"used_memory_peak_human"] = human_bytes(int(memory.peak_bytes))
        facts[b"used_memory_peak_perc"] = ratio(used * 100, int(memory.peak_bytes)) + b"%"
        facts[b"used_memory_overhead"] = overhead
        facts[b"used_memory_startup"] = startup
        facts[b"used_memory_dataset"] = dataset
        facts[b"used_memory_dataset_perc"] = ratio(dataset * 100, max(1, used - startup)) + b"%"
        facts[b"allocator_allocated"] = used
        facts[b"allocator_active"] = resident
        facts[b"allocator_resident"] = resident
        facts[b"total_system_memory"] = system
        facts[b"total_system_memory_human"] = human_bytes(system)
        facts[b"mem_fragmentation_ratio"] = ratio(resident, used)
        facts[b"mem_fragmentation_bytes"] = resident - used
        facts[b"mem_clients_normal"] = clients

    def add_processor_time(self, facts: dict[bytes, bytes | int]) -> None:
        own = resource.getrusage(resource.RUSAGE_SELF)
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        for name, seconds in (
            (b"used_cpu_sys", own.ru_stime),
            (b"used_cpu_user", own.ru_utime),
            (b"used_cpu_sys_children", children.ru_stime),
            (b"used_cpu_user_children", children.ru_utime),
            (b"used_cpu_sys_main_thread", own.ru_stime),
            (b"used_cpu_user_main_thread", own.ru_utime),
        ):
            facts[name] = f"{seconds:.6f}".encode()

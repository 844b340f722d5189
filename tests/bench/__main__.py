"""`make bench`: Gossamer beside redis-server and valkey-server: speed, memory, stalls, AOF, replication."""

from __future__ import annotations

import argparse
from pathlib import Path

from bench import durability, memory, replication, report, speed, stalls
from bench.machine import chosen_commands

PARTS = ("speed", "memory", "stalls", "durability", "replication")
OUTPUT = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"


def arguments() -> argparse.Namespace:
    def words(text: str) -> list[str]:
        return [word.strip().lower() for word in text.split(",")]

    parser = argparse.ArgumentParser(prog="make bench ARGS=...", description=__doc__)
    parser.add_argument("--only", type=words, default=list(PARTS), help=f"parts to run: {','.join(PARTS)}")
    parser.add_argument(
        "--tests", type=words, default=[], help="tests of the speed part, such as get,lrange_100"
    )
    parser.add_argument("--pipeline", type=words, default=["1", "16"], help="pipeline depths")
    parser.add_argument("--pairs", type=int, default=3, help="runs of each server, taken in turn")
    parser.add_argument("--requests", type=int, help="requests a run (LRANGE and MSET take a part of them)")
    parser.add_argument("--keys", type=int, default=1_000_000, help="keys of the other parts")
    parser.add_argument(
        "--server",
        action="append",
        default=[],
        metavar="NAME=COMMAND",
        help="how to start a server; an empty COMMAND leaves Gossamer out. Directives are appended to it",
    )
    parser.add_argument(
        "--quick", action="store_true", help="one pair, a fifth of the requests, 100,000 keys"
    )
    parser.add_argument("--write", action="store_true", help=f"write a narrowed run to {OUTPUT.name} as well")
    chosen = parser.parse_args()
    unknown = [part for part in chosen.only if part not in PARTS]
    unknown += [name for name in chosen.tests if name not in {test.name.lower() for test in speed.TESTS}]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}")
    return chosen


def main() -> None:
    chosen = arguments()
    commands = chosen_commands(chosen.server)
    keys = min(chosen.keys, 100_000) if chosen.quick else chosen.keys
    narrowed = chosen.quick or chosen.tests or chosen.requests or chosen.server or keys < 1_000_000
    output = OUTPUT if chosen.write or not narrowed else None
    if "speed" in chosen.only:
        run_speed(chosen, commands, output)
    if "memory" in chosen.only:
        run_memory(commands, keys, output)
    if "stalls" in chosen.only:
        run_stalls(commands, keys, output)
    if "durability" in chosen.only:
        run_durability(chosen, commands, output)
    if "replication" in chosen.only:
        run_replication(chosen, commands, keys, output)
    if output is not None:
        print(f"written to {output}")


def run_speed(chosen: argparse.Namespace, commands: dict[str, list[str]], output: Path | None) -> None:
    pairs = 1 if chosen.quick else chosen.pairs
    print(f"speed: {', '.join(commands)}, in turn, {pairs} times", flush=True)
    requests = chosen.requests or (20_000 if chosen.quick else None)
    print(" ".join(f"{cell:>14}" for cell in speed.header(list(commands))), flush=True)
    rows, servers = speed.measure(
        commands,
        chosen.tests,
        [int(depth) for depth in chosen.pipeline],
        pairs,
        requests,
        lambda row: print(" ".join(f"{cell:>14}" for cell in speed.cells(row)), flush=True),
    )
    for line in speed.means(rows):
        print(line)
    if output is not None:
        usual = "/".join(map(str, speed.REQUESTS.values()))
        options = (
            f"redis-benchmark -c {speed.CLIENTS} -r {speed.KEYSPACE} -d 3, medians of {pairs} runs "
            f"of {requests or usual} requests (fewer for LRANGE and MSET)"
        )
        lines = report.table(speed.header(list(commands)), [speed.cells(row) for row in rows])
        text = [report.provenance(servers, options), "", *lines, "", *speed.means(rows)]
        report.replace_section(output, "speed", text)


def run_memory(commands: dict[str, list[str]], keys: int, output: Path | None) -> None:
    print(f"memory: {keys:,} small values of each type", flush=True)
    found, servers = memory.measure(commands, keys)
    lines = report.table(memory.header(list(commands)), [memory.cells(*item) for item in found.items()])
    print("\n".join(lines))
    if output is not None:
        text = [report.provenance(servers, f"{keys:,} keys of 16 bytes"), "", *lines]
        report.replace_section(output, "memory", text)


def run_stalls(commands: dict[str, list[str]], keys: int, output: Path | None) -> None:
    print("stalls: the longest wait of a client that pings every millisecond", flush=True)
    found, servers = stalls.measure(commands, keys)
    lines = report.table(stalls.header(list(commands)), [stalls.cells(*item) for item in found.items()])
    print("\n".join(lines))
    if output is not None:
        text = [report.provenance(servers, "milliseconds"), "", *lines]
        report.replace_section(output, "stalls", text)


def run_durability(chosen: argparse.Namespace, commands: dict[str, list[str]], output: Path | None) -> None:
    pairs = 1 if chosen.quick else chosen.pairs
    print(f"durability: {', '.join(commands)}, in turn, {pairs} times", flush=True)
    print(" ".join(f"{cell:>14}" for cell in durability.header(list(commands))), flush=True)
    found, servers = durability.measure(
        commands,
        pairs,
        chosen.requests or (20_000 if chosen.quick else None),
        lambda policy, row: print(
            " ".join(f"{cell:>14}" for cell in durability.cells(policy, row)), flush=True
        ),
    )
    means = durability.means(found)
    print("\n".join(means))
    if output is not None:
        options = f"redis-benchmark -c {speed.CLIENTS} -r {speed.KEYSPACE} -d 3, medians of {pairs} runs"
        rows = [durability.cells(policy, row) for policy, rows in found.items() for row in rows]
        lines = report.table(durability.header(list(commands)), rows)
        report.replace_section(
            output, "durability", [report.provenance(servers, options), "", *lines, "", *means]
        )


def run_replication(
    chosen: argparse.Namespace, commands: dict[str, list[str]], keys: int, output: Path | None
) -> None:
    pairs = 1 if chosen.quick else chosen.pairs
    names = list(replication.primaries(commands))
    print(f"replication: {', '.join(names)}, each with one redis-server below it, in turn, {pairs} times")
    print(" ".join(f"{cell:>14}" for cell in speed.header(names)), flush=True)
    rows, servers = replication.measure_throughput(
        commands,
        pairs,
        chosen.requests or (20_000 if chosen.quick else None),
        lambda row: print(" ".join(f"{cell:>14}" for cell in speed.cells(row)), flush=True),
    )
    means = replication.means(rows)
    print("\n".join(means))
    print(f"full synchronisation of {keys:,} keys", flush=True)
    found = replication.measure_synchronization(commands, keys, pairs)
    times = report.table(replication.SYNCHRONIZATION_HEADER, replication.synchronization_cells(found))
    print("\n".join(times))
    if output is not None:
        options = (
            f"each primary with one redis-server replica; redis-benchmark -c {speed.CLIENTS} "
            f"-r {speed.KEYSPACE} -d 3, medians of {pairs} runs"
        )
        lines = report.table(speed.header(names), [speed.cells(row) for row in rows])
        text = [report.provenance(servers, options), "", *lines, "", *means, ""]
        text += [f"Full synchronisation of {keys:,} keys of 16 bytes, diskless:", "", *times]
        report.replace_section(output, "replication", text)


if __name__ == "__main__":
    main()

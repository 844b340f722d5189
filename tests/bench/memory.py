"""Resident bytes per key over many small values of each type, and the time to save and to load them."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

from bench.loading import SMALL_VALUES, send_all
from bench.machine import REFERENCE, SUBJECT, BenchmarkServer

PATIENCE_S = 600.0


@dataclass(frozen=True)
class Measure:
    bytes_per_key: float
    fill_s: float
    save_s: float
    load_s: float
    file_bytes: int


def measure_one(name: str, command: list[str], kind: str, keys: int) -> tuple[Measure, str]:
    server = BenchmarkServer(name, command, ["--dbfilename", "dump.rdb"])
    try:
        server.start()
        description = server.description()
        empty = server.resident_bytes()
        with server.client(timeout_s=PATIENCE_S) as client:
            started = time.monotonic()
            send_all(client, SMALL_VALUES[kind](keys))
            fill_s = time.monotonic() - started
            present = client.call("DBSIZE").plain()
            if present != keys:
                raise RuntimeError(f"{name} holds {present} keys instead of {keys}")
            resident = server.resident_bytes() - empty
            started = time.monotonic()
            saved = client.call("SAVE")
            save_s = time.monotonic() - started
        if saved.is_error:
            raise RuntimeError(f"{name}: SAVE: {saved!r}")
        file_bytes = os.path.getsize(server.directory / "dump.rdb")
        server.terminate(PATIENCE_S)
        started = time.monotonic()
        server.start()
        load_s = time.monotonic() - started
        with server.client() as client:
            loaded = client.call("DBSIZE").plain()
        if loaded != keys:
            raise RuntimeError(f"{name} loaded {loaded} keys instead of {keys}")
        return Measure(resident / keys, fill_s, save_s, load_s, file_bytes), description
    finally:
        server.stop()


def measure(commands: dict[str, list[str]], keys: int) -> tuple[dict[str, dict[str, Measure]], list[str]]:
    """kind -> server -> figures, each from a server of its own; also who took part."""
    found: dict[str, dict[str, Measure]] = {}
    descriptions: dict[str, str] = {}
    for kind in SMALL_VALUES:
        found[kind] = {}
        for name, command in commands.items():
            found[kind][name], descriptions[name] = measure_one(name, command, kind, keys)
            print(f"  {kind:18} {name:14} {found[kind][name].bytes_per_key:7.1f} bytes per key", flush=True)
    return found, list(descriptions.values())


def header(names: Sequence[str]) -> list[str]:
    columns = ["values", *[f"{name} bytes/key" for name in names]]
    if SUBJECT in names and REFERENCE in names:
        columns.append(f"of {REFERENCE}")
    return columns + [f"{name} {figure}" for figure in ("save s", "load s", "file MB") for name in names]


def cells(kind: str, measures: dict[str, Measure]) -> list[str]:
    row = [kind, *[f"{measure.bytes_per_key:.1f}" for measure in measures.values()]]
    if SUBJECT in measures and REFERENCE in measures:
        row.append(f"{measures[SUBJECT].bytes_per_key / measures[REFERENCE].bytes_per_key:.2f}x")
    row += [f"{measure.save_s:.2f}" for measure in measures.values()]
    row += [f"{measure.load_s:.2f}" for measure in measures.values()]
    return row + [f"{measure.file_bytes / 1e6:.0f}" for measure in measures.values()]

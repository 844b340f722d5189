"""The verdicts beside those of redis-check-rdb and redis-check-aof: what they refuse is never called sound, and an
append only file is cut where the real tool cuts it.

The other way round ours may be stricter, and cut earlier: it refuses what a Gossamer server refuses, lengths that are
no plain digits for example.
"""

import io
import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from gossamer.ops.aof_findings import AofScan
from gossamer.ops.progress import Progress
from gossamer.ops.rdb_findings import scan_rdb
from gossamer.rdb.crc64 import crc64
from persistence.aof_content import Recording, some_command, timestamp
from rdb.test_damage import small_file

pytestmark = pytest.mark.peers

QUIET = Progress(io.StringIO(), False)
TRIES = 80


def tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(name)
    return path


def ask_tool(path: str, file: Path) -> tuple[bool, str]:
    done = subprocess.run([path, str(file)], capture_output=True, text=True, errors="replace", check=False)
    return done.returncode == 0, done.stdout


def damaged_aof(data: bytes, chance: random.Random) -> bytes:
    damaged = bytearray(data)
    for _ in range(chance.randrange(1, 3)):
        kind = chance.randrange(4)
        place = chance.randrange(max(len(damaged) - 1, 1))
        if kind == 0:
            damaged[place] = chance.choice(b"\r\n*$#0159x")
        elif kind == 1:
            del damaged[place + 1 : place + chance.randrange(2, 30)]
        elif kind == 2:
            del damaged[place + 1 :]
        else:
            damaged[place] ^= 1 << chance.randrange(8)
    return bytes(damaged)


def test_an_append_only_file_is_cut_where_the_real_tool_cuts(tmp_path: Path):
    program = tool("redis-check-aof")
    chance = random.Random(4)
    recording = Recording(checksums=False)
    for number in range(30):
        if number % 7 == 0:
            recording.put(timestamp(1000 + number))
        recording.unit(*[some_command(chance) for _ in range(1 if chance.randrange(3) else 3)])
    path = tmp_path / "appendonly.aof"
    refused = equal = 0
    for _ in range(TRIES):
        data = damaged_aof(recording.data(), chance)
        path.write_bytes(data)
        sound, said = ask_tool(program, path)
        fault = AofScan(io.BytesIO(data), "", len(data), QUIET).run(0).fault
        if sound:
            continue
        refused += 1
        assert fault is not None, data
        up_to = re.search(r"ok_up_to=(\d+)", said)
        assert up_to is not None and fault.keep_bytes <= int(up_to.group(1)), data
        equal += fault.keep_bytes == int(up_to.group(1))
    assert refused > TRIES // 2
    assert equal >= refused * 0.95


def test_no_snapshot_is_sound_that_the_real_tool_refuses(tmp_path: Path):
    program = tool("redis-check-rdb")
    chance = random.Random(5)
    whole = small_file()
    path = tmp_path / "dump.rdb"
    refused = 0
    for _ in range(TRIES):
        damaged = bytearray(whole[:-8])
        for _ in range(chance.randrange(1, 3)):
            place = chance.randrange(9, len(damaged))
            damaged[place] = chance.choice([0, 1, 0x80, 0x81, 0xC3, 0xFF, damaged[place] ^ 1])
        data = bytes(damaged) + crc64(bytes(damaged)).to_bytes(8, "little")
        path.write_bytes(data)
        sound, said = ask_tool(program, path)
        findings = scan_rdb(io.BytesIO(data), "", len(data), 0, QUIET).findings
        if not sound:
            refused += 1
            assert findings.damage is not None, said
    assert refused > TRIES // 8

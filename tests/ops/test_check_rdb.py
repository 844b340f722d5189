"""check-rdb: what it says of sound files, of damaged ones, and what can be salvaged."""

import io
import os
from pathlib import Path

import pytest

from gossamer.base.limits import Limits
from gossamer.datatypes.hashes import Hash
from gossamer.datatypes.lists import List
from gossamer.datatypes.zsets import ZSet
from gossamer.ops.check_rdb import CheckError, check_rdb, run
from gossamer.ops.progress import Progress
from gossamer.ops.rdb_findings import FORMS, RdbFindings, scan_rdb
from gossamer.rdb.format import TYPE_LAST
from rdb.content import DATA, DUMPS, LEGACY, Collector, collect, write_all

NOW_MS = 1_700_000_000_000
QUIET = Progress(io.StringIO(), False)


def small_file() -> tuple[bytes, Collector]:
    limits = Limits()
    words = [b"word-%d" % number for number in range(6)]
    collector = Collector()
    collector.functions = [b"#!lua name=f\nreturn 1"]
    collector.aux = {b"redis-ver": b"7.0.15", b"ctime": b"1700000000"}
    collector.databases = {
        0: {
            b"string": b"plain",
            b"gone": b"x" * 40,
            b"list": List.from_elements(words, limits),
            b"hash": Hash.from_pairs(words, limits),
        },
        3: {b"zset\n": ZSet.from_entries(words, [1.0, 2.0, 3.5, 4.0, 5.0, 6.0], limits), b"last": b"1"},
    }
    collector.expires = {(0, b"string"): NOW_MS + 5000, (0, b"gone"): NOW_MS - 1}
    return write_all(collector), collector


def findings_of(data: bytes) -> RdbFindings:
    return scan_rdb(io.BytesIO(data), "dump.rdb", len(data), NOW_MS, QUIET).findings


def said_of(path: Path, salvage: str = "") -> tuple[bool, str]:
    lines: list[str] = []
    sound = check_rdb(str(path), QUIET, lines.append, salvage, NOW_MS)
    return sound, "\n".join(lines)


def test_a_sound_file_is_counted(tmp_path: Path):
    data, _ = small_file()
    path = tmp_path / "dump.rdb"
    path.write_bytes(data)
    sound, said = said_of(path)
    assert sound
    assert said.splitlines()[0] == f"{path}: sound, {len(data)} bytes"
    assert "check sum    right" in said
    assert "format       REDIS version 10" in said
    assert 'aux          ctime = "1700000000" (2023-11-14 22:13:20 UTC)' in said
    assert "keys         6, 2 of them with an expiry (1 expired already)" in said
    assert "database 0   4 keys, 2 with an expiry" in said
    assert "database 3   2 keys" in said
    assert "zset, listpack: 1 key" in said
    assert "string: 3 keys" in said
    assert "functions    1 library, 21 bytes of code" in said


@pytest.mark.parametrize("name", [f"{name}.rdb" for name in DUMPS] + [f"legacy/{name}" for name in LEGACY])
def test_the_files_of_every_server_are_sound_and_counted_whole(name: str):
    data = (DATA / name).read_bytes()
    findings = findings_of(data)
    assert findings.damage is None and findings.complete
    collected = collect(data)
    assert findings.keys == sum(map(len, collected.databases.values())) + len(collected.module_keys)
    assert findings.expires == len(collected.expires)
    assert sum(findings.forms.values()) == findings.keys
    assert set(findings.forms) <= set(FORMS)


def test_every_type_byte_that_is_read_has_a_name():
    unused = {8}
    assert set(FORMS) == set(range(TYPE_LAST + 1)) - unused


def test_every_cut_is_told_with_the_keys_that_survive_it():
    data, collector = small_file()
    keys = [(index, key) for index, held in collector.databases.items() for key in held]
    survivors = 0
    for size in range(len(data)):
        findings = findings_of(data[:size])
        assert findings.damage is not None
        assert findings.damage.offset <= size
        assert survivors <= findings.keys <= survivors + 1
        survivors = findings.keys
        assert findings.end_offset <= max(size, 9)
        if survivors:
            assert findings.last_key == keys[survivors - 1][1]
    assert survivors == len(keys)


def test_what_stands_before_a_cut_can_be_salvaged(tmp_path: Path):
    data, collector = small_file()
    path = tmp_path / "dump.rdb"
    target = tmp_path / "salvaged.rdb"
    for size in range(9, len(data), 5):
        path.write_bytes(data[:size])
        sound, said = said_of(path, str(target))
        assert not sound
        saved = collect(target.read_bytes())
        kept = [(index, key) for index, held in saved.databases.items() for key in held]
        assert f"{len(kept)} key" in said.splitlines()[-1]
        assert saved.content() == {
            index: {key: entry for key, entry in held.items() if key in saved.content()[index]}
            for index, held in collector.content().items()
            if index in saved.content()
        }
        target.unlink()


def test_every_flipped_bit_is_told():
    data, _ = small_file()
    for index in range(len(data)):
        damaged = bytearray(data)
        damaged[index] ^= 1 << (index % 8)
        findings = findings_of(bytes(damaged))
        assert findings.damage is not None
        assert findings.damage.doing


def test_damage_is_told_with_the_key_and_the_form_under_way(tmp_path: Path):
    data, _ = small_file()
    begin = data.index(b"zset\n") - 2
    damaged = bytearray(data)
    damaged[begin + 8] ^= 0x55  # the size in the listpack's header
    path = tmp_path / "dump.rdb"
    path.write_bytes(damaged)
    sound, said = said_of(path)
    assert not sound
    assert (
        'while reading the value of key "zset\\n" (type 17, a zset of listpack encoding), '
        f"which begins at offset {begin}, in database 3"
    ) in said
    assert f'4 keys complete before that; the last is "hash", offset {data.index(b"hash") - 2}' in said
    assert "before the damage:" in said and "zset, listpack" not in said


def test_a_wrong_check_sum_is_told_from_damage_of_a_key(tmp_path: Path):
    data, _ = small_file()
    damaged = bytearray(data)
    damaged[data.index(b"plain")] ^= 1
    path = tmp_path / "dump.rdb"
    path.write_bytes(damaged)
    sound, said = said_of(path)
    assert not sound
    assert f"Wrong check sum of the file, at offset {len(data) - 8} of {len(data)} bytes" in said
    assert "every key can be read, but some byte of the file has changed" in said


def test_a_file_that_ends_too_early_is_called_so(tmp_path: Path):
    data, _ = small_file()
    path = tmp_path / "dump.rdb"
    path.write_bytes(data[:-30])
    assert "the file ends too early" in said_of(path)[1]


def test_a_file_without_a_check_sum_is_sound_and_said_to_have_none(tmp_path: Path):
    path = tmp_path / "dump.rdb"
    path.write_bytes(write_all(small_file()[1], checksum=False))
    sound, said = said_of(path)
    assert sound and "check sum    none: the writer kept no check sum" in said
    path.write_bytes((DATA / "legacy" / LEGACY[0]).read_bytes())
    assert said_of(path)[0]


@pytest.mark.parametrize(
    ("content", "hint"),
    [
        (b"", "the file ends too early"),
        (b"*1\r\n$4\r\nPING\r\n", "looks like an append only file"),
        (b"file a.1.base.rdb seq 1 type b\n", "looks like the manifest"),
        (b"RIDES0010..", "wrong magic"),
        (b"REDIS0099..", "Version of the file is not known"),
    ],
)
def test_what_is_no_rdb_file_is_told_what_it_looks_like(tmp_path: Path, content: bytes, hint: str):
    path = tmp_path / "dump.rdb"
    path.write_bytes(content)
    sound, said = said_of(path)
    assert not sound and hint in said
    with pytest.raises(CheckError, match="header is damaged"):
        said_of(path, str(tmp_path / "new"))
    assert not (tmp_path / "new").exists()


def test_bytes_behind_the_end_are_refused_as_a_server_does(tmp_path: Path):
    path = tmp_path / "dump.rdb"
    data = small_file()[0]
    path.write_bytes(data + b"*1\r\n$4\r\nPING\r\n")
    sound, said = said_of(path)
    assert not sound
    assert f"14 bytes behind the end of the snapshot, at offset {len(data)}" in said
    assert "it is an append only file; see gossamer check-aof" in said


def test_salvage_overwrites_nothing(tmp_path: Path):
    path = tmp_path / "dump.rdb"
    path.write_bytes(small_file()[0][:-9])
    with pytest.raises(CheckError, match="cannot create .*: File exists"):
        said_of(path, str(path))


def test_memory_does_not_follow_the_size_of_the_file():
    """The file is asked for in pieces, whatever its size."""
    collector = Collector()
    collector.databases = {0: {b"key-%d" % number: b"v" * 1000 for number in range(5000)}}
    data = write_all(collector, compress=False)
    asked: list[int] = []

    class File(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            assert size is not None
            asked.append(size)
            return super().read(size)

    assert scan_rdb(File(data), "dump.rdb", len(data), NOW_MS, QUIET).findings.keys == 5000
    assert 0 < max(asked) <= 1 << 18


def test_the_status_is_1_when_one_of_the_files_is_bad(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    good, bad = tmp_path / "good.rdb", tmp_path / "bad.rdb"
    good.write_bytes(small_file()[0])
    bad.write_bytes(small_file()[0][:-1])
    assert run([str(good)]) == 0
    assert run([str(bad), str(good)]) == 1
    assert run([str(tmp_path / "absent")]) == run([str(tmp_path)]) == 1
    said = capsys.readouterr()
    assert f"cannot read {tmp_path}/absent: No such file or directory" in said.err
    assert f"cannot read {tmp_path}: Is a directory" in said.err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "dump.rdb"
    path.write_bytes(small_file()[0])
    path.chmod(0)
    assert run([str(path)]) == 1
    assert "Permission denied" in capsys.readouterr().err

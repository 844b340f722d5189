"""The manifest: Redis's rules and texts, the names that are given, and files that the real servers wrote."""

import shutil
from pathlib import Path

import pytest

from gossamer.persistence.manifest import AofFile, Manifest, ManifestError, load_manifest, store_manifest
from persistence.fakes import FakeDisk
from support.servers import PEERS, ServerProcess, wait_until

LINE = b"file appendonly.aof.1.incr.aof seq 1 type i\n"


@pytest.mark.parametrize(
    ("text", "number", "reason"),
    [
        (b"", 0, "Found an empty AOF manifest"),
        (b"\n", 1, "Invalid AOF manifest file format"),
        (LINE + b"  \t\r\n", 2, "Invalid AOF manifest file format"),
        (LINE[:-1], 0, "The AOF manifest file contains too long line"),
        (b"x" * 1100 + b"\n", 0, "The AOF manifest file contains too long line"),
        (b"#" + b"y" * 1030 + b"\n", 2, "Invalid AOF manifest file format"),
        (b"file a seq 1\n", 1, "Invalid AOF manifest file format"),
        (b"file a seq 1 type i more\n", 1, "Invalid AOF manifest file format"),
        (b'file "a seq 1 type i\n', 1, "Invalid AOF manifest file format"),
        (b"file a/b seq 1 type i\n", 1, "File can't be a path, just a filename"),
        (b"file a\\b seq 1 type i\n", 1, "File can't be a path, just a filename"),
        (b"# c\n" + LINE + LINE, 3, "Found a non-monotonic sequence number"),
        (b"file a seq -3 type i\n", 1, "Found a non-monotonic sequence number"),
        (b"file b seq 1 type b\nfile c seq 2 type b\n", 2, "Found duplicate base file information"),
        (b"file b seq 1 type z\n", 1, "Unknown AOF file type"),
        (b"file b seq 0 type i\n", 1, "Invalid AOF manifest file format"),
        (b"file b seq x type i\n", 1, "Invalid AOF manifest file format"),
        (b'file "" seq 1 type i\n', 1, "Invalid AOF manifest file format"),
    ],
)
def test_a_bad_manifest_is_refused_with_the_line(text: bytes, number: int, reason: str) -> None:
    with pytest.raises(ManifestError) as caught:
        Manifest.parse(text)
    error = caught.value
    assert (error.reason, error.line_number) == (reason, number)
    assert error.explain()[0] == "*** FATAL AOF MANIFEST FILE ERROR ***"
    assert error.explain()[-1] == reason
    assert len(error.explain()) == (4 if number else 2)


@pytest.mark.parametrize(
    "text",
    [
        LINE,
        b"# a comment\n" + LINE,
        b"FILE appendonly.aof.1.incr.aof SEQ 1 TYPE incr\r\n",
        b"seq 1x later field type i file appendonly.aof.1.incr.aof\n",
        b'  file "appendonly.aof.1.\\x69ncr.aof" seq +1 type i \t\n',
    ],
)
def test_what_redis_reads_is_read(text: bytes) -> None:
    assert Manifest.parse(text).render() == LINE


def test_only_comments_name_no_file() -> None:
    manifest = Manifest.parse(b"# nothing\n")
    assert (manifest.files(), manifest.render()) == ([], b"")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a b", b'"a b"'),
        ('a"b', b'"a\\"b"'),
        ("'a", b'"\'a"'),
        ("a`b$", b"a`b$"),
        ("ä", b'"\\xc3\\xa4"'),
        (b"\xff".decode("utf-8", "surrogateescape"), b'"\\xff"'),
    ],
)
def test_a_name_is_quoted_where_it_must_be(name: str, shown: bytes) -> None:
    line = AofFile(name, 7, "h").line()
    assert line == b"file " + shown + b" seq 7 type h\n"
    assert Manifest.parse(line).history[0].name == name


def test_a_rewrite_names_the_next_files_and_retires_the_old_ones() -> None:
    manifest = Manifest()
    assert manifest.add_base("p", True) == "p.1.base.rdb"
    assert manifest.add_increment("p") == "p.1.incr.aof"
    before = manifest.render()
    changed = manifest.copy()
    assert changed.add_increment("p") == "p.2.incr.aof"
    assert changed.add_base("p", False) == "p.2.base.aof"
    changed.retire_increments()
    assert changed.render() == (
        b"file p.2.base.aof seq 2 type b\n"
        b"file p.1.incr.aof seq 1 type h\n"
        b"file p.1.base.rdb seq 1 type h\n"
        b"file p.2.incr.aof seq 2 type i\n"
    )
    assert [file.name for file in changed.files()] == ["p.2.base.aof", "p.2.incr.aof"]
    assert manifest.render() == before


def test_several_increments_are_retired_with_the_newest_last() -> None:
    manifest = Manifest()
    for _ in range(4):
        manifest.add_increment("p")
    manifest.retire_increments()
    assert [file.sequence for file in manifest.history] == [1, 2, 3]
    assert [file.sequence for file in manifest.increments] == [4]


def test_numbers_go_on_after_a_manifest_was_read() -> None:
    manifest = Manifest.parse(b"file x seq 5 type b\nfile y seq 9 type i\n")
    assert (manifest.add_base("p", True), manifest.add_increment("p")) == ("p.6.base.rdb", "p.10.incr.aof")


def test_it_is_stored_by_replacement_and_loaded_again() -> None:
    disk = FakeDisk()
    assert load_manifest(disk, "dir", "p") is None
    manifest = Manifest()
    manifest.add_increment("p")
    store_manifest(disk, "dir", "p", manifest)
    assert disk.journal[0] == "create dir/temp-p.manifest"
    assert disk.journal[-2:] == ["rename dir/temp-p.manifest dir/p.manifest", "sync directory dir"]
    found = load_manifest(disk, "dir", "p")
    assert found is not None and found.render() == manifest.render()


@pytest.mark.peers
@pytest.mark.parametrize("kind", PEERS.values())
@pytest.mark.parametrize("preamble", ["yes", "no"])
def test_it_is_byte_for_byte_what_the_real_server_writes(kind: str, preamble: str, tmp_path: Path) -> None:
    if shutil.which(kind) is None:
        pytest.skip(f"{kind} is absent")
    arguments = ["--appendonly", "yes", "--appendfilename", "a b", "--aof-use-rdb-preamble", preamble]
    manifest = Manifest()
    with ServerProcess(kind, arguments, directory=tmp_path) as server, server.client() as client:
        # Thus old files are kept, and named.
        keeps_history = (
            not client.call("DEBUG", "x").is_error
            or not client.call("CONFIG", "SET", "aof-disable-auto-gc", "yes").is_error
        )
        manifest.add_base("a b", preamble == "yes")
        manifest.add_increment("a b")
        name = tmp_path / "appendonlydir" / "a b.manifest"
        assert name.read_bytes() == manifest.render()
        assert keeps_history
        for _ in range(2):
            client.call("SET", "k", "v")
            client.call("BGREWRITEAOF")
            manifest.add_increment("a b")
            manifest.add_base("a b", preamble == "yes")
            manifest.retire_increments()
            wait_until(lambda: name.read_bytes() == manifest.render(), what=f"{manifest.render()!r}")
        assert Manifest.parse(name.read_bytes()).render() == manifest.render()

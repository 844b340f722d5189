"""The disk model forgets exactly what a loss of power may take, and nothing that was synced."""

import random

import pytest

from support.disk_model import ENOSPC, Fault, Image, ModelDisk, Replay


def states(disk: ModelDisk, limit: int = 2000, holes: bool = False) -> set[tuple[tuple[str, bytes], ...]]:
    """What a crash after the last operation may leave: sets of (path, content)."""
    replay = Replay(disk)
    for operation in disk.journal:
        replay.advance(operation)
    images = replay.images(random.Random(1), limit, holes)
    return {tuple(sorted(image.files.items())) for image in images}


def contents(disk: ModelDisk, name: str, holes: bool = False) -> set[bytes | None]:
    return {dict(state).get(name) for state in states(disk, holes=holes)}


def synced_file(data: bytes) -> ModelDisk:
    disk = ModelDisk()
    file = disk.create("f")
    file.write(data)
    file.sync()
    file.close()
    disk.sync_directory()
    return disk


def test_what_was_synced_stays_and_the_rest_is_a_prefix_torn_at_any_byte() -> None:
    disk = synced_file(b"abc")
    file = disk.append("f")
    file.write(b"de")
    file.write(b"fgh")
    assert contents(disk, "f") == {b"abcdefgh"[:size] for size in range(3, 9)}


def test_a_synced_file_without_a_synced_name_may_be_gone() -> None:
    disk = ModelDisk()
    file = disk.create("f")
    file.write(b"abc")
    file.sync()
    assert contents(disk, "f") == {None, b"abc"}
    disk.sync_directory()
    assert contents(disk, "f") == {b"abc"}


def test_a_name_may_be_durable_before_the_content() -> None:
    disk = ModelDisk()
    file = disk.create("f")
    file.write(b"ab")
    disk.sync_directory()
    assert contents(disk, "f") == {b"", b"a", b"ab"}


def test_a_rename_is_there_or_not_and_takes_the_content_as_it_is() -> None:
    disk = synced_file(b"old")
    file = disk.create("t")
    file.write(b"n")
    disk.rename("t", "f")
    found = states(disk)
    assert (("f", b"old"),) in found
    assert (("f", b"old"), ("t", b"n")) in found
    assert (("f", b""),) in found and (("f", b"n"),) in found
    assert not any("f" not in dict(state) for state in found)


def test_changes_of_one_directory_keep_their_order_and_two_directories_know_nothing_of_each_other() -> None:
    disk = ModelDisk(Image({}, ("a", "b")))
    disk.create("a/1")
    disk.create("b/1")
    disk.create("a/2")
    names = {frozenset(dict(state)) for state in states(disk)}
    assert frozenset({"a/1", "a/2"}) in names and frozenset({"b/1"}) in names
    assert not any("a/2" in state and "a/1" not in state for state in names)


def test_a_rename_between_directories_happens_in_both_and_syncing_one_syncs_it() -> None:
    disk = ModelDisk(Image({"f": b"x"}, ("d",)))
    disk.rename("f", "d/f")
    assert {frozenset(dict(state)) for state in states(disk)} == {frozenset({"f"}), frozenset({"d/f"})}
    disk.sync_directory("d")
    assert {frozenset(dict(state)) for state in states(disk)} == {frozenset({"d/f"})}


def test_a_removal_and_a_truncation_wait_for_their_sync() -> None:
    disk = synced_file(b"abcd")
    file = disk.append("f")
    file.truncate(2)
    assert contents(disk, "f") == {b"abcd", b"ab"}
    file.write(b"x")
    assert contents(disk, "f") == {b"abcd", b"ab", b"abx"}
    disk.remove("f")
    assert contents(disk, "f") == {b"abcd", b"ab", b"abx", None}
    disk.sync_directory()
    assert contents(disk, "f") == {None}


def test_creating_a_file_that_is_there_cuts_it_and_may_lose_both_contents() -> None:
    disk = synced_file(b"old")
    disk.create("f").write(b"new")
    assert contents(disk, "f") == {b"old", b"", b"n", b"ne", b"new"}


def test_a_sync_covers_only_what_was_written_when_it_began() -> None:
    disk = synced_file(b"")
    file = disk.append("f")
    file.write(b"a")
    disk.covers = disk.mark()
    file.write(b"b")
    file.sync()
    disk.covers = None
    assert contents(disk, "f") == {b"a", b"ab"}


def test_a_file_that_was_opened_keeps_its_inode_when_another_takes_its_name() -> None:
    disk = synced_file(b"old")
    old = disk.append("f")
    disk.rename("f", "g")
    disk.create("f").write(b"new")
    old.write(b"er")
    assert disk.volatile().files == {"f": b"new", "g": b"older"}


def test_a_lost_directory_takes_its_files_along() -> None:
    disk = ModelDisk()
    disk.make_directory("d")
    file = disk.create("d/f")
    file.write(b"x")
    file.sync()
    disk.sync_directory("d")
    assert states(disk) == {(), (("d/f", b"x"),)}


def test_holes_are_zeros_behind_what_is_durable() -> None:
    disk = synced_file(b"a" * 70)
    disk.append("f").write(b"b" * 200)
    found = contents(disk, "f", holes=True)
    assert all(state is not None and state.startswith(b"a" * 70) for state in found)
    assert any(state is not None and b"\0b" in state for state in found)
    assert not any(state is not None and b"\0" in state for state in contents(disk, "f"))


@pytest.mark.parametrize("part", [0.0, 0.5, 1.0])
def test_a_fault_strikes_the_operation_that_it_names(part: float) -> None:
    disk = synced_file(b"abcd")
    disk.fault = Fault(len(disk.operations) + 2, len(disk.operations) + 2, ENOSPC, part)
    file = disk.append("f")
    with pytest.raises(OSError, match="No space left"):
        file.write(b"efgh")
    file.write(b"!")
    assert disk.volatile().files["f"] == b"abcd" + b"efgh"[: int(4 * part)] + b"!"
    assert disk.fault.struck == ["write f"]


def test_every_state_of_a_random_history_holds_what_was_synced() -> None:
    """At each point, for each file that was synced with its directory: no state is shorter than what was synced."""
    rng = random.Random(5)
    disk = ModelDisk()
    replay = Replay(disk)
    files = {name: disk.create(name) for name in "abc"}
    disk.sync_directory()
    sure = dict.fromkeys("abc", b"")
    seen = 0
    for _ in range(60):
        name = rng.choice("abc")
        if rng.random() < 0.3:
            files[name].sync()
            sure[name] = disk.volatile().files[name]
        else:
            files[name].write(bytes(rng.choices(b"xyz", k=rng.randint(1, 9))))
        while seen < len(disk.journal):
            replay.advance(disk.journal[seen])
            seen += 1
        whole = disk.volatile().files
        for image in replay.images(rng, 40):
            for path, content in image.files.items():
                assert content.startswith(sure[path]) and whole[path].startswith(content)

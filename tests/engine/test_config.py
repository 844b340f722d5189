"""The configuration as plain calls: values, listeners, all or nothing."""

import pytest

from gossamer.base.errors import ConfigError
from gossamer.base.limits import Limits
from gossamer.engine.config import Config, ConfigDoor, SetError
from gossamer.engine.config_directives import DIRECTIVES, directives_of
from gossamer.engine.config_kinds import MULTIPLE, format_memory, parse_memory

VERSIONS = (70, 72, 80)


class Directories(ConfigDoor):
    """A file system with two directories."""

    def __init__(self) -> None:
        self.here = b"/a"

    def current_directory(self) -> bytes:
        return self.here

    def change_directory(self, path: bytes) -> None:
        if path not in (b"/a", b"/b"):
            raise FileNotFoundError(2, "No such file or directory")
        self.here = path


@pytest.mark.parametrize("compat", VERSIONS)
def test_no_version_knows_a_name_twice(compat):
    names = [name for d in directives_of(compat) for name in (d.name, d.alias) if name]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("compat", VERSIONS)
def test_every_default_is_a_value_that_can_be_set(compat):
    for directive in directives_of(compat):
        value = directive.default_for(compat)
        if directive.name in ("replicaof", "dir"):
            continue
        shown = directive.spell(value)
        words = shown.split(b" ") if directive.flags & MULTIPLE and shown else [shown]
        assert directive.parse(words, value, compat) == value, directive.name


def test_every_limit_follows_its_directive():
    limits = Limits()
    fields = {d.limit for d in DIRECTIVES if d.limit}
    assert all(hasattr(limits, field) for field in fields)
    config = Config(80)
    config.attach(limits)
    assert limits.compat == 80
    assert limits.hash_max_listpack_entries == 512
    config.set([(b"hash-max-ziplist-entries", b"7"), (b"lfu-decay-time", b"3")])
    assert (limits.hash_max_listpack_entries, limits.lfu_decay_time_minutes) == (7, 3)


def test_a_listener_that_refuses_undoes_every_pair_and_is_asked_again():
    config = Config()
    seen = []

    def refuse_two():
        seen.append(config.number("maxclients"))
        if config.number("maxclients") == 2:
            raise ConfigError("no two")

    config.on_change("maxclients", refuse_two)
    with pytest.raises(SetError) as caught:
        config.set([(b"timeout", b"9"), (b"maxclients", b"2"), (b"hz", b"11")])
    assert caught.value.reply == b"ERR CONFIG SET failed (possibly related to argument 'maxclients') - no two"
    assert seen == [2, 10000]
    assert (config.number("timeout"), config.number("hz")) == (0, 10)


def test_a_listener_of_several_directives_is_called_once_and_only_for_changes():
    config = Config()
    calls = []

    def listener():
        calls.append(1)

    config.on_change("timeout", listener)
    config.on_change("hz", listener)
    config.set([(b"timeout", b"5"), (b"hz", b"20")])
    config.set([(b"timeout", b"5"), (b"hz", b"20")])
    assert calls == [1]


def test_a_certificate_set_to_the_same_path_is_a_change():
    config = Config()
    calls = []
    config.on_change("tls-cert-file", lambda: calls.append(1))
    for _ in range(2):
        config.set([(b"tls-cert-file", b"/x")])
    assert calls == [1, 1]


def test_dir_moves_the_process_and_moves_back_when_a_later_pair_fails():
    door = Directories()
    config = Config(72, door)
    config.set([(b"dir", b"/b")])
    assert config.text("dir") == door.here == b"/b"
    with pytest.raises(SetError):
        config.set([(b"dir", b"/a"), (b"timeout", b"x")])
    assert config.text("dir") == door.here == b"/b"
    with pytest.raises(SetError, match="No such file or directory"):
        config.set([(b"dir", b"/c")])


def test_a_protected_directive_needs_permission():
    config = Config(72, Directories())
    with pytest.raises(SetError, match="can't set protected config"):
        config.set([(b"dir", b"/b")], protected=False)
    assert not config.allows("enable-protected-configs", True)


def test_appendonly_cannot_be_set_while_loading():
    with pytest.raises(SetError, match="^LOADING"):
        Config().set([(b"appendonly", b"yes")], loading=True)


def test_passwords_are_not_for_logs():
    argv = [b"CONFIG", b"SET", b"timeout", b"1", b"RequirePass", b"x", b"masterauth", b"y"]
    assert Config().sensitive_positions(argv) == [5, 7]


def test_values_of_many_kinds_are_typed():
    config = Config(80)
    assert config.flag("protected-mode") is True
    assert config.choice("appendfsync") == b"everysec"
    assert config.text("masterauth") == b""
    assert config.save_points() == [(3600, 1), (300, 100), (60, 10000)]
    assert config.output_buffer_limit(1) == (256 << 20, 64 << 20, 60)
    assert config.addresses() == [b"*", b"-::*"]
    assert config.percentiles() == [50.0, 99.0, 99.9]
    assert config.primary() is None
    config.set([(b"maxmemory-clients", b"5%")])
    assert config.number("maxmemory-clients") == -5


@pytest.mark.parametrize("size", [0, 1, 1023, 1024, 1 << 20, 3 << 30, (1 << 30) + 1024, 10**9])
def test_a_size_is_written_so_that_it_reads_back(size):
    assert parse_memory(format_memory(size)) == size


@pytest.mark.parametrize(
    "text", [b"99999999999999999999", b"20000000000gb", b"1" * 5000, b"-1", b"1 mb", b"\xd9\xa1"]
)
def test_a_size_beyond_64_bits_is_refused_not_wrapped(text):
    with pytest.raises(ValueError):
        parse_memory(text)


@pytest.mark.parametrize("word", [b"99999999999999999999 1", b"1 99999999999", b"1_0 1", b"\xd9\xa1 1"])
def test_save_points_beyond_their_range_are_refused_not_wrapped(word):
    with pytest.raises(SetError, match="Invalid save parameters"):
        Config().set([(b"save", word)])

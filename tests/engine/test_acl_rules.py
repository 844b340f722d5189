"""One selector: which words make which permissions, and the text that makes them again."""

import random

import pytest

from gossamer.commands.table import build_table
from gossamer.engine.acl_rules import Catalogue, RuleError, Selector
from gossamer.server.command_table import all_commands

VERSIONS = (70, 72, 80)
TABLES = {compat: build_table((all_commands(),), compat) for compat in VERSIONS}


def selector_of(rules: str, compat: int = 72) -> Selector:
    catalogue = Catalogue(compat)
    catalogue.add(TABLES[compat])
    selector = Selector(catalogue, False)
    for rule in rules.split():
        selector.apply(rule.encode())
    return selector


def allows(selector: Selector, *words: bytes) -> bool:
    command = selector.catalogue.find(words[0])
    assert command is not None
    if command.subcommands:
        command = command.subcommands[words[1]]
    return selector.allows_command(command, list(words))


@pytest.mark.parametrize("compat", VERSIONS)
def test_a_new_selector_allows_nothing(compat):
    selector = selector_of("", compat)
    assert not allows(selector, b"get")
    assert not selector.allows_key(b"k", ("RO", "access"))
    assert not selector.allows_channel(b"c", False)
    assert selector.text() == b"resetchannels -@all"


@pytest.mark.parametrize("compat", VERSIONS)
def test_the_text_of_a_selector_makes_it_again(compat):
    names = [command.full_name.decode() for command in TABLES[compat].values()]
    names += [
        sub.full_name.decode() for command in TABLES[compat].values() for sub in command.subcommands.values()
    ]
    chance = random.Random(7)
    words = [
        *names,
        "@all",
        "@read",
        "@write",
        "@admin",
        "@dangerous",
        "@string",
        "@fast",
        "@slow",
        "@connection",
    ]
    for _ in range(200):
        rules = [chance.choice("+-") + chance.choice(words) for _ in range(chance.randint(1, 8))]
        rules += chance.sample(["~a*", "%R~b", "%W~c", "&d", "+select|0", "+select|1"], 2)
        selector = selector_of(" ".join(rules), compat)
        again = selector_of(selector.text().decode(), compat)
        assert again.allowed == selector.allowed, rules
        assert again.text() == selector.text(), rules


def test_redis_7_0_tells_a_set_of_commands_in_the_fewest_categories():
    assert selector_of("+@read +@write -@write -get +set", 70).commands_text() == b"-@all +@read +set -get"
    assert selector_of("+@all -@admin +@all -@pubsub -ping", 70).commands_text() == b"+@all -@pubsub -ping"


def test_later_versions_keep_the_words_in_their_order():
    assert selector_of("+get +set -get").commands_text() == b"-@all +set -get"
    assert selector_of("+config|get +config|set +config").commands_text() == b"-@all +config"
    assert selector_of("+config -config|get").commands_text() == b"-@all +config -config|get"
    assert selector_of("+@READ +GET +@all -@Read").commands_text() == b"+@all -@read"


def test_a_container_and_its_subcommands_are_allowed_apart():
    selector = selector_of("+config -config|set")
    assert allows(selector, b"config", b"get")
    assert not allows(selector, b"config", b"set")
    selector = selector_of("+config|get")
    assert allows(selector, b"config", b"get")
    assert not allows(selector, b"config", b"rewrite")


def test_a_command_can_be_allowed_for_one_first_argument():
    selector = selector_of("+select|0 +select|Ab")
    assert allows(selector, b"select", b"0")
    assert allows(selector, b"select", b"aB")
    assert not allows(selector, b"select", b"1")
    selector.apply(b"-select")
    assert not allows(selector, b"select", b"0")


def test_key_patterns_let_read_write_or_both():
    selector = selector_of("%R~r* %W~w* ~b*")
    for key, reads, writes in (
        (b"r1", True, False),
        (b"w1", False, True),
        (b"b1", True, True),
        (b"x", False, False),
    ):
        assert selector.allows_key(key, ("RO", "access")) is reads
        assert selector.allows_key(key, ("OW", "update")) is writes
        assert selector.allows_key(key, ("RW", "access", "update")) is (reads and writes)
        assert selector.allows_key(key, ("RO",)) is (reads or writes)
    selector.apply(b"%W~r*")
    assert selector.keys_text() == b"~r* %W~w* ~b*"


def test_a_pattern_to_listen_to_must_be_allowed_to_the_letter():
    selector = selector_of("&news.*")
    assert selector.allows_channel(b"news.x", False)
    assert selector.allows_channel(b"news.*", True)
    assert not selector.allows_channel(b"news.x", True)
    assert not selector.allows_channel(b"old", False)


@pytest.mark.parametrize(
    "rules", ["~* ~a", "&* &a", "+nosuch", "-nosuch", "+@nosuch", "foo", "%X~a", "+config|get|x"]
)
def test_what_makes_no_sense_is_refused(rules):
    with pytest.raises(RuleError):
        selector_of(rules)


@pytest.mark.parametrize("rule", [b"%~a", b"%", b"%~"])
def test_cve_2024_31227_and_51741_a_pattern_that_allows_nothing_is_refused(rule):
    with pytest.raises(RuleError):
        selector_of("").apply(rule)


@pytest.mark.parametrize("rule", [b"~a b", b"~a\tb", b"~a\0b", b"&a b", b"+select|a b", b"+select|\n"])
def test_no_rule_has_a_blank_that_its_text_could_not_carry(rule):
    with pytest.raises(RuleError):
        selector_of("").apply(rule)

"""RESTORE of hostile bytes: a little of the campaign of support/payload_fuzz.py."""

import random

from support.payload_fuzz import Fuzzer, campaign, real_bodies


def test_damaged_payloads_are_refused_or_make_sound_values() -> None:
    fuzzer = campaign(3000, seed=1)
    assert fuzzer.refused > 500
    assert {name.split()[0] for name in fuzzer.taken} == {"string", "list", "set", "hash", "zset", "stream"}
    assert fuzzer.functions_taken > 0


def test_payloads_of_every_encoding_are_in_the_collection() -> None:
    kinds = {body[0] for body in real_bodies()}
    assert kinds >= {0, 2, 4, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21}
    assert Fuzzer(random.Random(1)).library_body[0] == 245


def test_without_the_deep_check_doubled_members_are_taken_and_do_no_harm() -> None:
    fuzzer = campaign(400, seed=3, deep=False)
    assert fuzzer.taken["hash listpack"] > 5 and fuzzer.taken["set listpack"] > 5

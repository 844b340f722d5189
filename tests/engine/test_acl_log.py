"""The log of denials: equal ones are one entry, and there is an end to it."""

from gossamer.engine.acl_log import AclLog, AclLogEntry


def denial(name: bytes, now_ms: int = 0, context: bytes = b"toplevel") -> AclLogEntry:
    return AclLogEntry(1, context, name, b"u", now_ms, b"id=1")


def test_equal_denials_within_a_minute_are_one_entry():
    log = AclLog()
    log.add(denial(b"get", 0))
    log.add(denial(b"set", 0))
    log.add(denial(b"get", 60_000))
    assert [(entry.denied, entry.count) for entry in log.entries] == [(b"get", 2), (b"set", 1)]
    assert (log.entries[0].created_ms, log.entries[0].updated_ms) == (0, 60_000)
    log.add(denial(b"get", 120_001))
    log.add(denial(b"get", 120_001, b"multi"))
    assert [entry.count for entry in log.entries] == [1, 1, 2, 1]
    assert log.denials[1] == 5


def test_only_the_latest_entries_are_compared():
    log = AclLog()
    for number in range(12):
        log.add(denial(b"%d" % number))
    log.add(denial(b"0"))
    log.add(denial(b"5"))
    assert [entry.count for entry in log.entries][:2] == [2, 1]
    assert len(log.entries) == 13


def test_the_log_keeps_to_its_length():
    log = AclLog()
    log.set_max_len(3)
    for number in range(9):
        log.add(denial(b"%d" % number))
    assert [entry.denied for entry in log.entries] == [b"8", b"7", b"6"]
    log.set_max_len(0)
    log.add(denial(b"x"))
    assert log.entries == []

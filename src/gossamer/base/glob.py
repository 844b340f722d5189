"""Glob patterns as KEYS, SCAN, PSUBSCRIBE, ACL and CONFIG GET match them.

    *        any bytes, also none
    ?        one byte
    [ab-d]   one byte of a class; [^...] one byte outside it; a backslash inside escapes the next byte
    \\x       the byte x

Odd forms are matched as Redis matches them: a class without its closing bracket runs to the end of the
pattern, a backslash at the end stands for itself, bytes above 127 are negative in a range, and an empty text
matches nothing but an empty pattern (not even `*`).

Invariant: every element but `*` takes exactly one byte, so after a mismatch only the last `*` is worth
another try; the work is bounded by len(pattern) * len(data), whatever the pattern.
"""

from typing import Final

from mypy_extensions import i64

__all__: Final = ["match"]

_STAR: Final = 42
_QUESTION: Final = 63
_CLASS_OPEN: Final = 91
_BACKSLASH: Final = 92
_CLASS_CLOSE: Final = 93
_CARET: Final = 94
_MINUS: Final = 45


def match(pattern: bytes, data: bytes, nocase: bool) -> bool:
    """Whether the whole of `data` matches; `nocase` ignores the case of ASCII letters."""
    pattern_size: i64 = len(pattern)
    size: i64 = len(data)
    at: i64 = 0
    position: i64 = 0
    star_at: i64 = -1  # where the pattern goes on after the last star
    star_position: i64 = 0  # where in the data that rest was last tried
    if size == 0:
        return pattern_size == 0
    while position < size:
        following: i64 = -1
        if at < pattern_size:
            element: i64 = pattern[at]
            if element == _STAR:
                at += 1
                while at < pattern_size and pattern[at] == _STAR:
                    at += 1
                if at == pattern_size:
                    return True
                star_at = at
                star_position = position
                continue
            following = _after_element(pattern, at, data[position], nocase)
        if following >= 0:
            at = following
            position += 1
        elif star_at < 0:
            return False
        else:
            star_position += 1
            position = star_position
            at = star_at
    while at < pattern_size and pattern[at] == _STAR:
        at += 1
    return at == pattern_size


def _lower(code: i64) -> i64:
    if 65 <= code <= 90:
        return code + 32
    return code


def _after_element(pattern: bytes, at: i64, code: i64, nocase: bool) -> i64:
    """Where the pattern goes on when the element at `at` takes the byte `code`; -1 when it does not."""
    element: i64 = pattern[at]
    if element == _QUESTION:
        return at + 1
    if element == _CLASS_OPEN:
        return _after_class(pattern, at + 1, code, nocase)
    if element == _BACKSLASH and at + 1 < len(pattern):
        at += 1
        element = pattern[at]
    if element == code or (nocase and _lower(element) == _lower(code)):
        return at + 1
    return -1


def _after_class(pattern: bytes, at: i64, code: i64, nocase: bool) -> i64:
    """As _after_element, for a class whose content begins at `at`."""
    size: i64 = len(pattern)
    negated = at < size and pattern[at] == _CARET
    if negated:
        at += 1
    found = False
    while at < size:
        element: i64 = pattern[at]
        if element == _BACKSLASH and at + 1 < size:
            at += 1
            if pattern[at] == code:
                found = True
        elif element == _CLASS_CLOSE:
            break
        elif at + 2 < size and pattern[at + 1] == _MINUS:
            if _in_range(element, pattern[at + 2], code, nocase):
                found = True
            at += 2
        elif element == code or (nocase and _lower(element) == _lower(code)):
            found = True
        at += 1
    if found == negated:
        return -1
    return at + 1 if at < size else size


def _in_range(start: i64, end: i64, code: i64, nocase: bool) -> bool:
    if start > 127:
        start -= 256
    if end > 127:
        end -= 256
    if code > 127:
        code -= 256
    if start > end:
        swap: i64 = start
        start = end
        end = swap
    if nocase:
        start = _lower(start)
        end = _lower(end)
        code = _lower(code)
    return start <= code <= end

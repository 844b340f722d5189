"""SORT and SORT_RO: the elements of a list, set or sorted set by number or word, or by what other keys hold.

Rules that are easily missed: a pattern without `*` after BY means no sorting at all, and a list or sorted set
then keeps its own order (backwards with DESC); a set that is stored is sorted nevertheless, so that replicas
agree; equal weights are ordered by the elements' bytes, except under ALPHA with BY; a weight that is missing
counts as 0, or, under ALPHA, as less than any word.
"""

from typing import Final, final

from mypy_extensions import i64

from gossamer.base.errors import CommandError
from gossamer.base.numbers import NotANumber, parse_double
from gossamer.commands.arguments import integer_argument
from gossamer.commands.key_positions import sort_keys, sort_ro_keys
from gossamer.commands.session import Session
from gossamer.commands.table import Command, KeySpec
from gossamer.datatypes.hashes import Hash
from gossamer.datatypes.lists import List
from gossamer.datatypes.sets import Set
from gossamer.datatypes.value import Value
from gossamer.datatypes.zsets import ZSet
from gossamer.keyspace.database import Database
from gossamer.keyspace.events import NOTIFY_GENERIC, NOTIFY_LIST
from gossamer.resp.errors import SYNTAX, WRONGTYPE

_NO_WEIGHT: Final = b"ERR One or more scores can't be converted into double"
_BY_DENIED: Final = b"ERR BY option of SORT denied due to insufficient ACL permissions."
_GET_DENIED: Final = b"ERR GET option of SORT denied due to insufficient ACL permissions."
_BLANKS: Final = b" \t\n\v\f\r"
_ELEMENT: Final = b"#"


@final
class SortRequest:
    """The arguments of SORT."""

    def __init__(self) -> None:
        self.alpha: bool = False
        self.descending: bool = False
        self.by: bytes | None = None
        self.unsorted: bool = False
        self.get: list[bytes] = []
        self.offset: i64 = 0
        self.count: i64 = -1
        self.store: bytes | None = None


def parse_sort(session: Session, argv: list[bytes], may_store: bool) -> SortRequest:
    """Read the arguments; raises CommandError."""
    request = SortRequest()
    n: i64 = len(argv)
    i: i64 = 2
    while i < n:
        word = argv[i].upper()
        left: i64 = n - i - 1
        if word == b"ASC":
            request.descending = False
        elif word == b"DESC":
            request.descending = True
        elif word == b"ALPHA":
            request.alpha = True
        elif word == b"LIMIT" and left >= 2:
            request.offset = integer_argument(argv[i + 1])
            request.count = integer_argument(argv[i + 2])
            i += 2
        elif word == b"STORE" and left >= 1 and may_store:
            i += 1
            request.store = argv[i]
        elif word == b"BY" and left >= 1:
            i += 1
            request.by = argv[i]
            if b"*" not in argv[i]:
                request.unsorted = True
            elif not session.reads_every_key(argv):
                raise CommandError(_BY_DENIED)
        elif word == b"GET" and left >= 1:
            i += 1
            if not session.reads_every_key(argv):
                raise CommandError(_GET_DENIED)
            request.get.append(argv[i])
        else:
            raise CommandError(SYNTAX)
        i += 1
    return request


# -- what other keys hold ------------------------------------------------------------------------------------


def lookup_by_pattern(db: Database, pattern: bytes, element: bytes) -> bytes | None:
    """The string, or with `->` the field of a hash, at the key that pattern names for an element."""
    if pattern == _ELEMENT:
        return element
    star: i64 = pattern.find(b"*")
    if star < 0:
        return None
    arrow: i64 = pattern.find(b"->", star + 1)
    if arrow >= 0 and arrow + 2 < i64(len(pattern)):
        key = pattern[:star] + element + pattern[star + 1 : arrow]
        value = db.lookup_read(key)
        if not isinstance(value, Hash):
            return None
        fields = value if value.scheduled_ms == 0 else db.field_expiry.without_due_fields(key, value)
        return None if fields is None else fields.get(pattern[arrow + 2 :])
    value = db.lookup_read(pattern[:star] + element + pattern[star + 1 :])
    return value if isinstance(value, bytes) else None


def parse_weight(text: bytes) -> float:
    """A number as C's strtod reads it to its end; an empty text is 0. Raises CommandError."""
    nul: i64 = text.find(b"\0")
    if nul >= 0:
        text = text[:nul]
    if len(text) == 0:
        return 0.0
    try:
        return parse_double(text.lstrip(_BLANKS))
    except NotANumber:
        raise CommandError(_NO_WEIGHT) from None


# -- the order -----------------------------------------------------------------------------------------------


def sorted_elements(db: Database, elements: list[bytes], request: SortRequest) -> list[bytes]:
    """All elements in the order asked for."""
    by = request.by
    if request.alpha:
        if by is None:
            elements.sort(reverse=request.descending)
            return elements
        return sorted_by_words(db, elements, by, request.descending)
    weighted: list[tuple[float, bytes]] = []
    for element in elements:
        weight = element if by is None else lookup_by_pattern(db, by, element)
        weighted.append((0.0 if weight is None else parse_weight(weight), element))
    weighted.sort(reverse=request.descending)
    return [element for _, element in weighted]


def sorted_by_words(db: Database, elements: list[bytes], by: bytes, descending: bool) -> list[bytes]:
    """The elements by the words that the pattern `by` names; equal ones keep their order."""
    places: dict[bytes, list[bytes]] = {}
    without: list[bytes] = []
    for element in elements:
        word = lookup_by_pattern(db, by, element)
        if word is None:
            without.append(element)
        elif word in places:
            places[word].append(element)
        else:
            places[word] = [element]
    words = list(places)
    words.sort(reverse=descending)
    result: list[bytes] = []
    for word in words:
        result += places[word]
    return result + without if descending else without + result


def elements_of(value: Value) -> list[bytes]:
    """The elements of a list, set or sorted set in its own order; raises WRONGTYPE."""
    if isinstance(value, List):
        return value.elements()
    if isinstance(value, Set):
        return value.members()
    if isinstance(value, ZSet):
        members: list[bytes] = []
        value.collect_members(0, value.length(), members)
        return members
    raise CommandError(WRONGTYPE)


def chosen_elements(session: Session, key: bytes, request: SortRequest) -> list[bytes]:
    """The elements that the request asks for, in order, before GET."""
    value = session.db.lookup_read(key)
    if value is None:
        return []
    if isinstance(value, bytes):
        raise CommandError(WRONGTYPE)
    elements = elements_of(value)
    if isinstance(value, ZSet) and value.packed() is not None:
        value.become_large()  # Redis sorts by the large form, and keeps it
        session.db.store(key, value)
    if request.unsorted and isinstance(value, Set) and (request.store is not None or session.is_script()):
        elements.sort(reverse=request.descending)
    elif request.unsorted:
        if request.descending and not isinstance(value, Set):
            elements.reverse()
    else:
        elements = sorted_elements(session.db, elements, request)
    start: i64 = request.offset if request.offset > 0 else 0
    length: i64 = len(elements)
    if start >= length or request.count == 0:
        return []
    if request.count < 0 or request.count >= length - start:
        return elements[start:] if start > 0 else elements
    return elements[start : start + request.count]


# -- the commands --------------------------------------------------------------------------------------------


def sort_key(session: Session, argv: list[bytes], may_store: bool) -> None:
    request = parse_sort(session, argv, may_store)
    elements = chosen_elements(session, argv[1], request)
    if request.store is not None:
        store_result(session, request.store, elements, request.get)
        return
    reply = session.reply
    if not request.get:
        reply.bulk_array(elements)
        return
    reply.array(i64(len(elements)) * i64(len(request.get)))
    for element in elements:
        for pattern in request.get:
            reply.bulk_or_null(lookup_by_pattern(session.db, pattern, element))


def store_result(session: Session, key: bytes, elements: list[bytes], patterns: list[bytes]) -> None:
    """Store what was sorted (an empty string for what is missing) as a list, and reply its length."""
    db = session.db
    if patterns:
        looked_up: list[bytes] = []
        for element in elements:
            for pattern in patterns:
                found = lookup_by_pattern(db, pattern, element)
                looked_up.append(b"" if found is None else found)
        elements = looked_up
    if elements:
        session.put(key, List.from_elements(elements, session.limits), NOTIFY_LIST, b"sortstore")
        session.state.dirty += i64(len(elements)) - 1
    elif db.delete_any(key):
        session.changed(key, NOTIFY_GENERIC, b"del")
    session.reply.integer(len(elements))


def sort(session: Session, argv: list[bytes]) -> None:
    """SORT key [BY pattern] [LIMIT offset count] [GET pattern ...] [ASC | DESC] [ALPHA] [STORE key]"""
    sort_key(session, argv, True)


def sort_ro(session: Session, argv: list[bytes]) -> None:
    """SORT_RO key [BY pattern] [LIMIT offset count] [GET pattern ...] [ASC | DESC] [ALPHA]"""
    sort_key(session, argv, False)


_BY_NOTE: Final = (
    b"For the optional BY/GET keyword. It is marked 'unknown' because the key names derive from the content"
    b" of the key we sort"
)
_STORE_NOTE: Final = (
    b"For the optional STORE keyword. It is marked 'unknown' because the keyword can appear anywhere in the"
    b" argument array"
)
_SOURCE: Final = KeySpec("RO access", index=1)
_BY: Final = KeySpec("RO access", unknown_begin=True, unknown_find=True, notes=_BY_NOTE)
_STORE: Final = KeySpec("OW update", unknown_begin=True, unknown_find=True, notes=_STORE_NOTE)
_CATEGORIES: Final = "set sortedset list dangerous"

COMMANDS: Final = (
    Command(b"sort", sort, -2, "write denyoom", _CATEGORIES, (_SOURCE, _BY, _STORE), key_finder=sort_keys),
    Command(b"sort_ro", sort_ro, -2, "readonly", _CATEGORIES, (_SOURCE, _BY), key_finder=sort_ro_keys),
)

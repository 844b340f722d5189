"""The kinds of configuration directives: how the words of each become a value, and a value becomes text
again.

Owns: parsing, ranges, the texts of refusals (Redis's), the spelling in CONFIG GET and in a rewritten file.
Must not know: which directives there are, who uses their values, where files are.

A value is an int (numbers, sizes in bytes, bit masks, the number of a choice), a bool, bytes or a tuple.
Parsing never changes anything: a directive holds no value, the Config does.
"""

from collections.abc import Callable
from typing import Final

from gossamer.base.errors import ConfigError
from gossamer.base.numbers import NotAnInteger, NotANumber, parse_double, to_int64
from gossamer.base.quoting import quote
from gossamer.keyspace.events import format_event_classes, parse_event_classes

# Flags of a directive.
IMMUTABLE: Final = 1  # CONFIG SET cannot change it
SENSITIVE: Final = 2  # its value is not shown in logs
HIDDEN: Final = 4  # CONFIG GET shows it under its full name only
PROTECTED: Final = 8  # CONFIG SET needs enable-protected-configs
MULTIPLE: Final = 16  # takes several words
VOLATILE: Final = 32  # setting it to the value that it has is a change too (a file whose content may differ)
DENY_LOADING: Final = 64  # CONFIG SET cannot change it while the data set is loaded

INT_MAX: Final = 2**31 - 1
INT_MIN: Final = -(2**31)
UINT_MAX: Final = 2**32 - 1
LONG_MAX: Final = 2**63 - 1
LONG_MIN: Final = -(2**63)
ULONG_MAX: Final = 2**64 - 1

BIND_MAX: Final = 16

_UNITS: Final = {
    b"": 1,
    b"b": 1,
    b"k": 1000,
    b"kb": 1 << 10,
    b"m": 1000**2,
    b"mb": 1 << 20,
    b"g": 1000**3,
    b"gb": 1 << 30,
}
_CLIENT_CLASSES: Final = ((b"normal",), (b"replica", b"slave"), (b"pubsub",))

Check = Callable[[bytes, int], None]  # the word and the version; raises ConfigError


def parse_memory(text: bytes) -> int:
    """Bytes from `1gb`, `500k`, `12`; raises ValueError. No digits at all are 0, as in Redis."""
    digits = len(text) - len(text.lstrip(b"0123456789"))
    unit = _UNITS.get(text[digits:].lower())
    if unit is None or digits > 20:
        raise ValueError(text)
    size = (int(text[:digits]) if digits else 0) * unit
    if size > ULONG_MAX:
        raise ValueError(text)
    return size


def format_memory(size: int) -> bytes:
    """A size in the largest binary unit that divides it."""
    for unit, suffix in ((1 << 30, b"gb"), (1 << 20, b"mb"), (1 << 10, b"kb")):
        if size and size % unit == 0:
            return b"%d%s" % (size // unit, suffix)
    return b"%d" % size


def parse_integer(text: bytes) -> int:
    """An integer as the C library reads one: a plus sign and leading zeros are fine; raises ValueError."""
    digits = text[1:] if text[:1] in (b"+", b"-") else text
    if not digits.isdigit() or len(digits) > 19:
        raise ValueError(text)
    return int(text)


class Directive:
    """One directive. `since` and `until` bound the versions (70, 72, 80) that know it.

    `limit` names the field of Limits that follows the value. `defaults` holds the default of single
    versions where they differ from `default`.
    """

    def __init__(self, name: str, default: object, flags: int = 0) -> None:
        self.name: str = name
        self.alias: str = ""
        self.default: object = default
        self.defaults: dict[int, object] = {}
        self.flags: int = flags
        self.since: int = 70
        self.until: int = 99
        self.alias_since: int = 70
        self.limit: str = ""

    def parse(self, words: list[bytes], current: object, compat: int) -> object:
        """The value that the words mean, given the value now; raises ConfigError."""
        if len(words) != 1:
            raise ConfigError("wrong number of arguments")
        return self.parse_word(words[0], compat)

    def parse_word(self, word: bytes, compat: int) -> object:
        raise NotImplementedError

    def spell(self, value: object) -> bytes:
        """The value as CONFIG GET shows it."""
        raise NotImplementedError

    def rows(self, value: object, compat: int) -> list[bytes]:
        """What follows the name, for each line of a rewritten file."""
        return [self.spell(value)]

    def default_for(self, compat: int) -> object:
        return self.defaults.get(compat, self.default)

    def is_forced(self, value: object, compat: int) -> bool:
        """Whether a rewritten file must name the directive even if the old file does not."""
        return value != self.default_for(compat)


class YesNo(Directive):
    """yes or no; the value is a bool."""

    def parse_word(self, word: bytes, compat: int) -> object:
        lower = word.lower()
        if lower not in (b"yes", b"no"):
            raise ConfigError("argument must be 'yes' or 'no'")
        return lower == b"yes"

    def spell(self, value: object) -> bytes:
        return b"yes" if value else b"no"


class ActiveDefragmentation(YesNo):
    """activedefrag: no allocator here could do it, so it cannot be switched on."""

    def parse_word(self, word: bytes, compat: int) -> object:
        value = super().parse_word(word, compat)
        if value:
            server, source = (
                ("a server", "the source") if compat >= 80 else ("a Redis server", "the Redis source")
            )
            raise ConfigError(
                f"Active defragmentation cannot be enabled: it requires {server} compiled with a modified "
                f"Jemalloc like the one shipped by default with {source} distribution"
            )
        return value


class Number(Directive):
    """An integer within bounds; the value is an int."""

    def __init__(self, name: str, default: object, low: int, high: int, flags: int = 0) -> None:
        super().__init__(name, default, flags)
        self.low: int = low
        self.high: int = high
        self.highs: dict[int, int] = {}
        self.clamp_low: int = low
        self.clamp_high: int = high

    def parse_word(self, word: bytes, compat: int) -> object:
        try:
            value = int(to_int64(word))
        except NotAnInteger:
            raise ConfigError("argument couldn't be parsed into an integer") from None
        return self.bounded(value, compat)

    def bounded(self, value: int, compat: int) -> int:
        high = self.highs.get(compat, self.high)
        if not self.low <= value <= high:
            raise ConfigError(f"argument must be between {self.low} and {high} inclusive")
        return min(max(value, self.clamp_low), self.clamp_high)

    def spell(self, value: object) -> bytes:
        assert isinstance(value, int)
        return b"%d" % value


class Memory(Number):
    """A size in bytes, with units."""

    def parse_word(self, word: bytes, compat: int) -> object:
        try:
            value = parse_memory(word)
        except ValueError:
            raise ConfigError("argument must be a memory value") from None
        return self.bounded(value, compat)

    def rows(self, value: object, compat: int) -> list[bytes]:
        assert isinstance(value, int)
        return [format_memory(value)]


class MemoryOrPercent(Number):
    """A size in bytes, or a share of maxmemory as a negative number: -5 is 5%."""

    def parse_word(self, word: bytes, compat: int) -> object:
        refused = ConfigError("argument must be a memory or percent value")
        if word.endswith(b"%"):
            try:
                percent = int(to_int64(word[:-1]))
            except NotAnInteger:
                raise refused from None
            if percent < 0:
                raise refused
            if percent > 100:
                raise ConfigError("percentage argument must be less or equal to 100")
            return -percent
        try:
            value = parse_memory(word)
        except ValueError:
            raise refused from None
        if value > self.high:
            raise refused
        return value

    def spell(self, value: object) -> bytes:
        assert isinstance(value, int)
        return b"%d%%" % -value if value < 0 else b"%d" % value

    def rows(self, value: object, compat: int) -> list[bytes]:
        assert isinstance(value, int)
        return [self.spell(value) if value < 0 else format_memory(value)]


class Octal(Number):
    """File permissions."""

    def parse_word(self, word: bytes, compat: int) -> object:
        digits = word[1:] if word[:1] in (b"+", b"-") else word
        if not digits or digits.strip(b"01234567"):
            raise ConfigError("argument couldn't be parsed as an octal number")
        value = int(word, 8)
        if not self.low <= value <= self.high:
            raise ConfigError(f"argument must be between {self.low:o} and {self.high:o} inclusive")
        return value

    def spell(self, value: object) -> bytes:
        assert isinstance(value, int)
        return f"{value:o}".encode()


class Choice(Directive):
    """One of several words, or with MULTIPLE a set of them; the value is the word's number, or their bits."""

    def __init__(
        self, name: str, default: int, choices: tuple[tuple[bytes, int], ...], flags: int = 0
    ) -> None:
        super().__init__(name, default, flags)
        self.choices: tuple[tuple[bytes, int], ...] = choices
        self.since_of: dict[bytes, int] = {}

    def parse(self, words: list[bytes], current: object, compat: int) -> object:
        if len(words) != 1 and not self.flags & MULTIPLE:
            raise ConfigError("wrong number of arguments")
        known = {word: number for word, number in self.choices if self.since_of.get(word, 70) <= compat}
        value = 0
        for word in words:
            if word.lower() not in known:
                break
            value |= known[word.lower()]
        else:
            if words:
                self.check(value)
                return value
        names = ", ".join(word.decode() for word in known)
        raise ConfigError(f"argument(s) must be one of the following: {names}")

    def check(self, value: int) -> None:
        """Refuse a set of words that contradict each other."""

    def spell(self, value: object) -> bytes:
        assert isinstance(value, int)
        if self.flags & MULTIPLE and value:
            return b" ".join([word for word, number in self.choices if number and value & number == number])
        for word, number in self.choices:
            if number == value:
                return word
        raise ValueError(value)


class ShutdownOptions(Choice):
    """shutdown-on-sigint and shutdown-on-sigterm."""

    def check(self, value: int) -> None:
        if value & 3 == 3:
            raise ConfigError("shutdown options SAVE and NOSAVE can't be used simultaneously")


class Text(Directive):
    """Any string. An empty one that is the default too is unset: it leaves no line in a rewritten file."""

    def __init__(self, name: str, default: bytes, flags: int = 0, check: Check | None = None) -> None:
        super().__init__(name, default, flags)
        self.check: Check | None = check

    def parse_word(self, word: bytes, compat: int) -> object:
        if self.check is not None:
            self.check(word, compat)
        return word

    def spell(self, value: object) -> bytes:
        assert isinstance(value, bytes)
        return value

    def rows(self, value: object, compat: int) -> list[bytes]:
        assert isinstance(value, bytes)
        if not value and not self.default_for(compat):
            return []
        return [quote(value)]


class Directory(Text):
    """The working directory: always named in a rewritten file, since the next start may be elsewhere."""

    def is_forced(self, value: object, compat: int) -> bool:
        return True


class SavePoints(Directive):
    """Pairs of seconds and changes."""

    def parse(self, words: list[bytes], current: object, compat: int) -> object:
        if not words or words == [b""]:
            return ()
        if len(words) % 2:
            raise ConfigError("Invalid save parameters")
        points: list[tuple[int, int]] = []
        for index in range(0, len(words), 2):
            try:
                seconds = parse_integer(words[index])
                changes = parse_integer(words[index + 1])
            except ValueError:
                raise ConfigError("Invalid save parameters") from None
            if not 1 <= seconds <= LONG_MAX or not 0 <= changes <= INT_MAX:
                raise ConfigError("Invalid save parameters")
            points.append((seconds, changes))
        return tuple(points)

    def spell(self, value: object) -> bytes:
        assert isinstance(value, tuple)
        return b" ".join([b"%d %d" % (point[0], point[1]) for point in value])

    def rows(self, value: object, compat: int) -> list[bytes]:
        assert isinstance(value, tuple)
        if not value:
            return [b'""']
        if compat >= 80:
            return [self.spell(value)]
        return [b"%d %d" % (point[0], point[1]) for point in value]

    def is_forced(self, value: object, compat: int) -> bool:
        return True


class BufferLimits(Directive):
    """client-output-buffer-limit: hard bytes, soft bytes and soft seconds of three classes, nine ints."""

    def parse(self, words: list[bytes], current: object, compat: int) -> object:
        assert isinstance(current, tuple)
        if len(words) % 4:
            raise ConfigError("Wrong number of arguments in buffer limit configuration.")
        limits: list[int] = list(current)
        for at in range(0, len(words), 4):
            client_class = self.client_class(words[at])
            try:
                hard = parse_memory(words[at + 1])
                soft = parse_memory(words[at + 2])
                seconds = parse_integer(words[at + 3])
            except ValueError:
                seconds = -1
            if not 0 <= seconds <= LONG_MAX:
                raise ConfigError(
                    "Error in hard, soft or soft_seconds setting in buffer limit configuration."
                )
            limits[client_class * 3 : client_class * 3 + 3] = [hard, soft, seconds]
        return tuple(limits)

    def client_class(self, word: bytes) -> int:
        for number, names in enumerate(_CLIENT_CLASSES):
            if word.lower() in names:
                return number
        raise ConfigError("Invalid client class specified in buffer limit configuration.")

    def spell(self, value: object) -> bytes:
        assert isinstance(value, tuple)
        return b" ".join(
            [
                b"%s %d %d %d" % (names[-1], value[number * 3], value[number * 3 + 1], value[number * 3 + 2])
                for number, names in enumerate(_CLIENT_CLASSES)
            ]
        )

    def rows(self, value: object, compat: int) -> list[bytes]:
        assert isinstance(value, tuple)
        return [
            b"%s %s %s %d"
            % (
                names[0],
                format_memory(value[number * 3]),
                format_memory(value[number * 3 + 1]),
                value[number * 3 + 2],
            )
            for number, names in enumerate(_CLIENT_CLASSES)
        ]


class Addresses(Directive):
    """bind: up to sixteen addresses; the value is a tuple of bytes, empty to listen nowhere."""

    def parse(self, words: list[bytes], current: object, compat: int) -> object:
        if len(words) > BIND_MAX:
            raise ConfigError("Too many bind addresses specified.")
        return () if words == [b""] else tuple(words)

    def spell(self, value: object) -> bytes:
        assert isinstance(value, tuple)
        return b" ".join(value)

    def rows(self, value: object, compat: int) -> list[bytes]:
        return [self.spell(value) or b'""']


class OomScoreValues(Directive):
    """oom-score-adj-values: of the primary, of a replica, of a background child."""

    def parse(self, words: list[bytes], current: object, compat: int) -> object:
        if len(words) != 3:
            raise ConfigError("wrong number of arguments")
        values: list[int] = []
        for word in words:
            try:
                value = parse_integer(word)
            except ValueError:
                value = LONG_MAX
            if not -2000 <= value <= 2000:
                raise ConfigError("Invalid oom-score-adj-values, elements must be between -2000 and 2000.")
            values.append(value)
        return tuple(values)

    def spell(self, value: object) -> bytes:
        assert isinstance(value, tuple)
        return b" ".join([b"%d" % number for number in value])


class EventClasses(Directive):
    """notify-keyspace-events: the value is the mask of keyspace/events.py."""

    def parse_word(self, word: bytes, compat: int) -> object:
        mask = parse_event_classes(word)
        if mask is None:
            raise ConfigError("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")
        return mask

    def spell(self, value: object) -> bytes:
        assert isinstance(value, int)
        return format_event_classes(value)

    def rows(self, value: object, compat: int) -> list[bytes]:
        return [quote(self.spell(value))]


class Percentiles(Directive):
    """latency-tracking-info-percentiles: the value is a tuple of floats."""

    def parse(self, words: list[bytes], current: object, compat: int) -> object:
        if words == [b""]:
            return ()
        values: list[float] = []
        for word in words:
            try:
                value = parse_double(word)
            except NotANumber:
                raise ConfigError(f"Invalid {self.name} parameters") from None
            if not 0.0 <= value <= 100.0:
                raise ConfigError(f"{self.name} parameters should sit between [0.0,100.0]")
            values.append(value)
        return tuple(values)

    def spell(self, value: object) -> bytes:
        assert isinstance(value, tuple)
        return b" ".join([format_percentile(number) for number in value])

    def rows(self, value: object, compat: int) -> list[bytes]:
        return [self.spell(value) or b'""']


def format_percentile(value: float) -> bytes:
    """At most six decimals, trailing zeros dropped."""
    text = b"%.6f" % value
    return text.rstrip(b"0").rstrip(b".")


class PrimaryAddress(Directive):
    """replicaof: host and port; the value is a tuple of bytes and int, empty for none."""

    def parse(self, words: list[bytes], current: object, compat: int) -> object:
        if len(words) != 2:
            raise ConfigError("wrong number of arguments")
        if words[0].lower() == b"no" and words[1].lower() == b"one":
            return ()
        try:
            port = parse_integer(words[1])
        except ValueError:
            port = -1
        if not 0 <= port <= 65535:
            raise ConfigError("Invalid primary port" if compat >= 80 else "Invalid master port")
        return (words[0], port)

    def spell(self, value: object) -> bytes:
        assert isinstance(value, tuple)
        return b"%s %d" % (value[0], value[1]) if value else b""

    def rows(self, value: object, compat: int) -> list[bytes]:
        return [self.spell(value)] if value else []

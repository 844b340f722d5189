"""TIME, ROLE, MONITOR, LOLWUT and SHUTDOWN."""

import math
from typing import Final

from gossamer.base.errors import CommandError
from gossamer.base.numbers import is_int64, to_int64
from gossamer.base.rng import Random64
from gossamer.commands.table import Command
from gossamer.engine.client import Client
from gossamer.resp.errors import SYNTAX


def time(client: Client, argv: list[bytes]) -> None:
    now_us = client.engine.clock.now_us()
    client.reply.array(2)
    client.reply.bulk_integer(now_us // 1_000_000)
    client.reply.bulk_integer(now_us % 1_000_000)


def monitor(client: Client, argv: list[bytes]) -> None:
    if client.deny_blocking:
        raise CommandError(b"ERR MONITOR isn't allowed for DENY BLOCKING client")
    client.engine.watch_commands(client, True)
    client.reply.ok()


def shutdown(client: Client, argv: list[bytes]) -> None:
    save: bool | None = None
    now = force = abort = False
    for word in argv[1:]:
        option = word.lower()
        if option == b"nosave" and save is not True:
            save = False
        elif option == b"save" and save is not False:
            save = True
        elif option == b"now":
            now = True
        elif option == b"force":
            force = True
        elif option == b"abort":
            abort = True
        else:
            raise CommandError(SYNTAX)
    if abort and len(argv) > 2:
        raise CommandError(SYNTAX)
    hooks = client.engine.hooks
    if abort:
        if not hooks.abort_shutdown():
            raise CommandError(b"ERR No shutdown in progress.")
        client.reply.ok()
        return
    if save is not False and client.engine.scripts.running is not None:
        raise CommandError(client.engine.scripts.busy_error())
    refusal = hooks.shutdown(save, now, force)
    if refusal is not None:
        raise CommandError(refusal)
    if hooks.shutdown_waits():
        client.block([], 0)


BRAILLE_BASE: Final = 0x2800
BRAILLE_DOTS: Final = (0x01, 0x08, 0x02, 0x10, 0x04, 0x20, 0x40, 0x80)


class Canvas:
    """Black and white dots, eight to a character."""

    def __init__(self, width: int, height: int) -> None:
        self.width = width
        self.height = height
        self.cells = [[0] * ((width + 1) // 2) for _ in range((height + 3) // 4)]

    def dot(self, x: int, y: int) -> None:
        if 0 <= x < self.width and 0 <= y < self.height:
            self.cells[y // 4][x // 2] |= BRAILLE_DOTS[(y % 4) * 2 + x % 2]

    def line(self, x0: float, y0: float, x1: float, y1: float) -> None:
        steps = int(max(abs(x1 - x0), abs(y1 - y0))) + 1
        for i in range(steps + 1):
            self.dot(round(x0 + (x1 - x0) * i / steps), round(y0 + (y1 - y0) * i / steps))

    def text(self) -> str:
        return "\n".join(["".join([chr(BRAILLE_BASE + cell) for cell in row]) for row in self.cells]) + "\n"


def gossamer_web(columns: int, spokes: int, rings: int, rng: Random64) -> str:
    """A spider's web: spokes from the middle, and rings whose threads sag a little, each differently."""
    width = columns * 2
    height = max(8, width // 2)
    canvas = Canvas(width, height)
    middle_x, middle_y = width / 2, height / 2
    reach = min(middle_x, middle_y) - 1
    angles = [2 * math.pi * (i + rng.below(1000) / 4000) / spokes for i in range(spokes)]
    for angle in angles:
        canvas.line(
            middle_x, middle_y, middle_x + math.cos(angle) * reach, middle_y + math.sin(angle) * reach
        )
    for ring in range(1, rings + 1):
        corners: list[tuple[float, float]] = []
        for angle in angles:
            radius = reach * ring / (rings + 0.5) * (0.9 + rng.below(1000) / 5000)
            corners.append((middle_x + math.cos(angle) * radius, middle_y + math.sin(angle) * radius))
        for i in range(spokes):
            canvas.line(*corners[i], *corners[(i + 1) % spokes])
    return canvas.text()


def lolwut(client: Client, argv: list[bytes]) -> None:
    words = argv[1:]
    if len(words) >= 2 and words[0].lower() == b"version":
        if not is_int64(words[1]):
            raise CommandError(b"ERR value is not an integer or out of range")
        words = words[2:]
    numbers: list[int] = []
    for word in words:
        if not is_int64(word):
            raise CommandError(b"ERR value is not an integer or out of range")
        numbers.append(int(to_int64(word)))
    columns = min(max(numbers[0] if numbers else 40, 4), 200)
    spokes = min(max(numbers[1] if len(numbers) > 1 else 11, 3), 60)
    rings = min(max(numbers[2] if len(numbers) > 2 else 5, 1), 40)
    personality = client.engine.personality
    web = gossamer_web(columns, spokes, rings, client.rng)
    name = personality.server.capitalize().decode()
    client.reply.verbatim(b"txt", f"{web}\n{name} ver. {personality.version.decode()}\n".encode())


COMMANDS: Final = (
    Command(b"time", time, 1, "loading stale fast", "", tips=(b"nondeterministic_output",)),
    Command(b"monitor", monitor, 1, "admin noscript loading stale", ""),
    Command(b"lolwut", lolwut, -1, "readonly fast", ""),
    Command(b"shutdown", shutdown, -1, "admin noscript loading stale no_multi allow_busy", ""),
)

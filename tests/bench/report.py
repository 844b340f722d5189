"""Tables for the terminal and for docs/benchmarks.md, where a run replaces its own section and no prose."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path

from bench.machine import machine_description


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table whose columns are also straight in a terminal."""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]

    def line(row: Sequence[str]) -> str:
        padded = [
            row[0].ljust(widths[0]),
            *[cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)],
        ]
        return f"| {' | '.join(padded)} |"

    rule = [":" + "-" * (widths[0] - 1), *["-" * (width - 1) + ":" for width in widths[1:]]]
    return [line(header), f"| {' | '.join(rule)} |", *[line(row) for row in rows]]


def provenance(servers: Sequence[str], options: str) -> str:
    today = datetime.date.today().isoformat()
    return f"{today}; {', '.join(servers)}; {machine_description()}; {options}."


def replace_section(path: Path, section: str, lines: Sequence[str]) -> None:
    """Put the lines between the section's two markers; a file without them gets them at its end."""
    begin, end = f"<!-- bench:{section} -->", f"<!-- /bench:{section} -->"
    text = path.read_text(encoding="utf-8") if path.exists() else "# Benchmarks\n"
    if begin not in text:
        text = f"{text.rstrip()}\n\n{begin}\n{end}\n"
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    body = "\n".join(lines)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{before}{begin}\n{body}\n{end}{after}", encoding="utf-8")

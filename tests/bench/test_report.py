"""The benchmark's arithmetic and its page."""

from pathlib import Path

from bench.durability import means as durable_means
from bench.report import replace_section, table
from bench.speed import Row, Run, geometric_mean, means


def test_the_ratio_is_the_median_of_pairs_not_the_ratio_of_medians() -> None:
    row = Row("GET", 16)
    row.runs["gossamer"] = [Run(1.0, 1.0), Run(1.0, 4.0), Run(1.0, 2.0)]
    row.runs["redis-server"] = [Run(1.0, 2.0), Run(1.0, 4.0), Run(1.0, 3.0)]
    assert row.ratio("gossamer", "redis-server") == 1.5


def test_the_mean_of_a_doubling_and_a_halving_is_one() -> None:
    assert geometric_mean([2.0, 0.5]) == 1.0


def test_the_summary_names_the_lowest_row_of_each_depth() -> None:
    rows = []
    for test, ours in (("GET", 1.0), ("SET", 4.0)):
        row = Row(test, 16)
        row.runs = {"gossamer": [Run(1.0, ours)], "redis-server": [Run(1.0, 2.0)]}
        rows.append(row)
    (line,) = means(rows)
    assert "geometric mean 1.00, lowest 0.50 (SET)" in line


def test_a_run_replaces_its_own_section_and_keeps_the_prose(tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    page.write_text("# Title\n\nBefore.\n<!-- bench:speed -->\nold\n<!-- /bench:speed -->\nAfter.\n")
    replace_section(page, "speed", ["new"])
    replace_section(page, "memory", ["more"])
    text = page.read_text()
    assert text.startswith("# Title\n\nBefore.\n<!-- bench:speed -->\nnew\n<!-- /bench:speed -->\nAfter.\n")
    assert text.endswith("<!-- bench:memory -->\nmore\n<!-- /bench:memory -->\n")


def test_all_lines_of_a_table_are_equally_wide() -> None:
    assert len({len(line) for line in table(["a", "long column"], [["longer cell", "1"], ["b", "2"]])}) == 1


def test_durability_compares_throughput_not_cpu_time() -> None:
    row = Row("SET", 1)
    row.runs = {"gossamer": [Run(300.0, 9.0)], "redis-server": [Run(100.0, 1.0)]}
    (line,) = durable_means({"always": [row]})
    assert "appendfsync always" in line and "mean 3.00, lowest 3.00 (SET at pipeline 1)" in line

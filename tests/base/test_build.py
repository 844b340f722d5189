"""The lists of compiled modules name what exists, and no build leaves its traces among the sources."""

from pathlib import Path

import pytest

from gossamer.base import build

SOURCES = Path(__file__).resolve().parents[2] / "src"


def source_of(module: str) -> Path:
    return SOURCES.joinpath(*module.split("."))


@pytest.mark.parametrize("name", build.HOT_MODULES)
def test_a_hot_module_or_package_exists(name: str) -> None:
    if name.endswith(".*"):
        assert list(source_of(name.removesuffix(".*")).glob("*.py"))
    else:
        assert source_of(name).with_suffix(".py").is_file()


@pytest.mark.parametrize("name", build.COLD_MODULES)
def test_a_module_left_out_exists_and_would_be_hot_otherwise(name: str) -> None:
    assert source_of(name).with_suffix(".py").is_file()
    assert f"{name.rpartition('.')[0]}.*" in build.HOT_MODULES


def test_the_sources_hold_no_compiled_module() -> None:
    assert [path for path in SOURCES.rglob("*") if path.suffix in (".so", ".c", ".pyd")] == []

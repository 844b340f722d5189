"""The command line up to the point where a subcommand takes over."""

import subprocess
import sys

from gossamer import __version__
from gossamer.base import build
from gossamer.cli.main import main

HEAVY = ("gossamer.engine", "gossamer.server", "asyncio", "ssl", "socket")


def test_version_tells_the_build_mode(capsys):
    assert main(["--version"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"gossamer {__version__}\n")
    assert ("compiled: yes\n" if build.compiled() else "compiled: no (interpreted)\n") in said


def test_help_lists_the_subcommands(capsys):
    assert main([]) == main(["--help"]) == 0
    assert "serve" in capsys.readouterr().out


def test_an_unknown_word_is_an_error_of_use(capsys):
    assert main(["sevre"]) == 2
    assert "no such subcommand: sevre" in capsys.readouterr().err
    assert main(["--port"]) == 2


def test_version_imports_nothing_heavy():
    code = (
        "import sys; from gossamer.cli.main import main; main(['--version']); print(*sys.modules, sep='\\n')"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    loaded = set(said.splitlines())
    assert not [name for name in HEAVY if name in loaded]

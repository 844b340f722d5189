"""Builds the wheel: compiles the hot modules with mypyc, or packs everything as plain Python.

Owns: the choice between the two modes, the compiler's flags, and the build cache under build/compiled.
Must not: import anything of gossamer (it may be half changed); the list of hot modules is read as text.
Invariants: a wheel holds every hot module compiled or none of them; which it is gets decided before any
compiling starts, and an error after that ends the build. Building unchanged sources again compiles nothing.

GOSSAMER_COMPILE=0 in the environment asks for plain Python; GOSSAMER_CFLAGS adds flags for the C compiler.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
SOURCES = ROOT / "src"
HOT_MODULES_FILE = SOURCES / "gossamer" / "base" / "build.py"
CACHE = ROOT / "build" / "compiled" / f"{sys.implementation.cache_tag}-{platform.machine()}"
LIBRARY = "gossamer__mypyc"

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
# Everything sits in one library: calls between modules need no indirection that lets others replace them.
OPTIMIZATION_FLAGS = ["-O3", "-g0", "-fvisibility=hidden"]
# Inlines across modules: measured at a tenth of the CPU time of a command, for half as much compile time again.
LINK_TIME_FLAGS = [f"-flto={CORES}"]


def say(line: str) -> None:
    print(f"gossamer: {line}", file=sys.stderr, flush=True)


def literal(name: str) -> tuple[str, ...]:
    """The value of an annotated assignment in the file that lists the hot modules."""
    for statement in ast.parse(HOT_MODULES_FILE.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.AnnAssign) and statement.value is not None:
            if isinstance(statement.target, ast.Name) and statement.target.id == name:
                value: tuple[str, ...] = ast.literal_eval(statement.value)
                return value
    raise SystemExit(f"{HOT_MODULES_FILE}: no annotated assignment to {name}")


def hot_modules() -> list[str]:
    """The modules to compile; a name that ends in .* stands for all modules of a package."""
    modules: set[str] = set()
    for name in literal("HOT_MODULES"):
        if name.endswith(".*"):
            package = name.removesuffix(".*")
            stems = [path.stem for path in SOURCES.joinpath(*package.split(".")).glob("*.py")]
            modules.update(f"{package}.{stem}" for stem in stems if stem != "__init__")
        else:
            modules.add(name)
    return sorted(modules - set(literal("COLD_MODULES")))


def source_of(module: str) -> Path:
    return SOURCES.joinpath(*module.split(".")).with_suffix(".py")


def compiler_command() -> list[str]:
    return shlex.split(os.environ.get("CC") or str(sysconfig.get_config_var("CC") or "cc"))


def linker_command() -> list[str]:
    linker = shlex.split(str(sysconfig.get_config_var("LDSHARED") or "cc -shared"))
    return compiler_command() + linker[1:] if "CC" in os.environ else linker


def python_flags() -> list[str]:
    """What a C file that includes Python.h needs."""
    words = f"{sysconfig.get_config_var('CFLAGS') or ''} {sysconfig.get_config_var('CCSHARED') or ''}"
    paths = sysconfig.get_paths()
    include_dirs = dict.fromkeys([paths["include"], paths["platinclude"]])
    return shlex.split(words) + [f"-I{directory}" for directory in include_dirs]


def reason_not_to_compile() -> str | None:
    """None if C extensions can be built here; otherwise what is missing, for a person to read."""
    if os.environ.get("GOSSAMER_COMPILE") == "0":
        return "GOSSAMER_COMPILE=0 asks for it"
    if sys.implementation.name != "cpython":
        return f"mypyc compiles for CPython only, and this is {sys.implementation.name}"
    if os.name != "posix":
        return "the compiled build supports POSIX systems only"
    compiler = compiler_command()
    if shutil.which(compiler[0]) is None:
        return f"no C compiler found ({compiler[0]}; on Debian: apt-get install gcc)"
    if not Path(sysconfig.get_paths()["include"], "Python.h").exists():
        return "Python's C headers are missing (on Debian: apt-get install python3-dev)"
    complaint = complaint_of_compiler([])
    return f"the C compiler cannot build a Python extension ({complaint})" if complaint else None


def complaint_of_compiler(flags: list[str]) -> str | None:
    """What the compiler says when it builds the least of extensions with these flags; None if it can."""
    with tempfile.TemporaryDirectory() as directory:
        probe = Path(directory, "probe.c")
        probe.write_text("#include <Python.h>\nPyMODINIT_FUNC PyInit_probe(void) { return NULL; }\n")
        output = ["-o", str(probe.with_suffix(".so"))]
        command = [*linker_command(), *python_flags(), *flags, str(probe), *output]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode == 0:
            return None
        lines = (result.stderr or result.stdout).strip().splitlines()
        return lines[-1] if lines else f"exit status {result.returncode}"


def digest(*parts: bytes | str) -> str:
    state = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        state.update(len(data).to_bytes(8, "little") + data)
    return state.hexdigest()


class CompiledModules:
    """One shared library with all hot modules, and for each a small module that loads from there."""

    def __init__(self, modules: list[str]) -> None:
        self.modules = modules
        self.c_dir = CACHE / "c"
        self.object_dir = CACHE / "objects"
        self.output_dir = CACHE / "modules"
        linking = LINK_TIME_FLAGS if complaint_of_compiler(LINK_TIME_FLAGS) is None else []
        added = shlex.split(os.environ.get("GOSSAMER_CFLAGS", ""))
        self.flags = [*OPTIMIZATION_FLAGS, *linking, *added]
        version = subprocess.run([*compiler_command(), "--version"], capture_output=True, check=True).stdout
        self.toolchain = digest(
            version, *compiler_command(), *linker_command(), *python_flags(), *self.flags, sys.version
        )

    def key(self) -> str:
        """Changes whenever the result might: any source, any tool, any flag."""
        packages = [f"{name}={importlib.metadata.version(name)}" for name in ("mypy", "librt")]
        sources: list[bytes | str] = []
        for path in [Path(__file__), *sorted((SOURCES / "gossamer").rglob("*.py"))]:
            sources += [str(path), path.read_bytes()]
        return digest(self.toolchain, *packages, *self.modules, *sources)

    def build(self) -> Path:
        """Leaves the compiled modules in the returned directory, laid out as they are to be installed."""
        key = self.key()
        key_file = CACHE / "key"
        if key_file.exists() and key_file.read_text() == key:
            say(f"{len(self.modules)} hot modules unchanged, taken from the build cache")
            return self.output_dir
        key_file.unlink(missing_ok=True)
        for stale in (self.c_dir, self.output_dir):
            shutil.rmtree(stale, ignore_errors=True)
        started = time.monotonic()
        say(f"translating {len(self.modules)} hot modules to C (mypyc)")
        extensions = self.translate()
        say(f"compiling C on {CORES} cores ({compiler_command()[0]} {' '.join(self.flags)})")
        self.compile(extensions)
        key_file.write_text(key)
        say(f"compiled in {time.monotonic() - started:.0f} s")
        return self.output_dir

    def translate(self) -> list[Extension]:
        from mypyc.build import mypycify

        missing = [name for name in self.modules if not source_of(name).exists()]
        if missing:
            raise SystemExit(f"HOT_MODULES names modules that do not exist: {', '.join(missing)}")
        os.environ["MYPYPATH"] = str(SOURCES)
        extensions: list[Extension] = mypycify(
            [
                # Not the strict rules of the project's own check: here types only have to be sound.
                "--config-file=",
                "--follow-imports=silent",
                "--disable-error-code=import-untyped",
                "--disallow-untyped-defs",
                f"--cache-dir={os.devnull}",
                *[str(source_of(name).relative_to(ROOT)) for name in self.modules],
            ],
            group_name=LIBRARY.removesuffix("__mypyc"),
            multi_file=True,
            target_dir=str(self.c_dir),
        )
        return extensions

    def compile(self, extensions: list[Extension]) -> None:
        headers = [path.read_bytes() for path in sorted(self.c_dir.rglob("*.h"))]
        shared = digest(self.toolchain, *headers)
        sources = [(Path(source), extension) for extension in extensions for source in extension.sources]
        # The largest first, so that no core waits for the other's last file.
        sources.sort(key=lambda item: -item[0].stat().st_size)
        with ThreadPoolExecutor(CORES) as pool:
            jobs = [pool.submit(self.compile_object, path, extension, shared) for path, extension in sources]
            objects = {path: job.result() for (path, _), job in zip(sources, jobs, strict=True)}
            for job in [pool.submit(self.link, extension, objects) for extension in extensions]:
                job.result()

    def compile_object(self, source: Path, extension: Extension, shared: str) -> Path:
        target = (self.object_dir / source.relative_to(self.c_dir)).with_suffix(".o")
        stamp = target.with_suffix(".key")
        key = digest(shared, source.read_bytes())
        if target.exists() and stamp.exists() and stamp.read_text() == key:
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        stamp.unlink(missing_ok=True)
        # Warnings differ from compiler to compiler and must not decide whether an install works.
        kept = [flag for flag in extension.extra_compile_args if flag.startswith("-Wno-")]
        include = [f"-I{directory}" for directory in extension.include_dirs]
        flags = [*python_flags(), *include, *kept, *self.flags_for(extension)]
        run([*compiler_command(), *flags, "-c", str(source), "-o", str(target)])
        stamp.write_text(key)
        return target

    def flags_for(self, extension: Extension) -> list[str]:
        """A module that only loads from the library has nothing to inline."""
        return self.flags if extension.name == LIBRARY else [*self.flags, "-fno-lto"]

    def link(self, extension: Extension, objects: dict[Path, Path]) -> None:
        target = self.output_dir.joinpath(*extension.name.split("."))
        target = target.with_name(target.name + str(sysconfig.get_config_var("EXT_SUFFIX")))
        target.parent.mkdir(parents=True, exist_ok=True)
        inputs = [str(objects[Path(source)]) for source in extension.sources]
        run([*linker_command(), *self.flags_for(extension), *inputs, "-o", str(target)])


def run(command: list[str]) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise SystemExit(f"{shlex.join(command)}\n{result.stdout}{result.stderr}")


class BuildPython(build_py):
    """Copies the sources into a directory that holds nothing from an earlier build."""

    def run(self) -> None:
        if not getattr(self, "editable_mode", False):
            shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()


class BuildExtensions(build_ext):
    """Puts the compiled modules beside the sources; an editable install stays interpreted."""

    def run(self) -> None:
        if self.inplace or getattr(self, "editable_mode", False):
            say("an editable install runs interpreted: edits must show at once")
            return
        shutil.copytree(CompiledModules(hot_modules()).build(), self.build_lib, dirs_exist_ok=True)

    def get_outputs(self) -> list[str]:
        return []

    def get_source_files(self) -> list[str]:
        return []


def main() -> None:
    building = any(command in sys.argv for command in ("bdist_wheel", "build", "build_ext", "install"))
    reason = reason_not_to_compile() if building else "nothing is built"
    if building and reason is not None:
        say(f"INTERPRETED install, about ten times slower: {reason}")
    setup(
        # The name alone: BuildExtensions makes it, and its presence marks the wheel as made for this machine.
        ext_modules=[Extension(LIBRARY, sources=[])] if reason is None else [],
        cmdclass={"build_py": BuildPython, "build_ext": BuildExtensions},
    )


main()

"""How llama.cpp is compiled here, and the wheels that came of it before.

The standard library only, as in ``install.py``.
"""
# ruff: noqa: S603

from __future__ import annotations

import hashlib
import os
import platform
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

BACKENDS = {
    "cpu": ("the CPU", "-DGGML_CUDA=off -DGGML_METAL=off"),
    "cuda": ("NVIDIA GPUs (CUDA)", "-DGGML_CUDA=on"),
    "metal": ("this Mac's GPU (Metal)", "-DGGML_METAL=on"),
}
# Where NVIDIA's packages put it, beside most people's PATH; CMake looks in PATH alone.
USUAL_NVCC = "/usr/local/cuda/bin/nvcc"
UNUSED_FLAGS = " -DLLAVA_BUILD=off"  # pictures; a sixth of the time
# For an image: any x86-64 or ARM machine, and a GPU driver that is not there while it is built.
PORTABLE_FLAGS = " -DGGML_NATIVE=off -DCMAKE_EXE_LINKER_FLAGS=-Wl,--allow-shlib-undefined"
# GCC takes eight of the 64 bytes of an AMX tile configuration for all that is read of it, and
# drops the stores that fill the rest: the first tile instruction of llama.cpp is then invalid.
KEEP_STORES = "-fno-dse"
# All of llama.cpp's code for AMX stands behind this macro. A flag as -mno-amx-int8 would depend on
# the compiler's version, and on its place before or behind -march=native.
NO_AMX = "-U__AMX_INT8__"
# Whose flags: the variable that names the compiler, CMake's word, and what it is called else.
LANGUAGES = {
    "CFLAGS": ("CC", "C", ("cc", "gcc", "clang")),
    "CXXFLAGS": ("CXX", "CXX", ("c++", "g++", "clang++")),
}
READ_BY_BUILDS = re.compile(r"(CC|CXX|CPPFLAGS|LDFLAGS)$|(CMAKE|SKBUILD|GGML)_")
CPU_LINES = re.compile(r"^(?:model name|flags|Features|CPU part)\s*:.*$", re.MULTILINE)
MAX_WHEELS = 3
ANSWER_SECONDS = 30.0


@dataclass(frozen=True)
class Build:
    """``title``: what it is for. ``environ``: what the compilation reads beside the machine's.

    ``is_kept``: whether ``environ``, compilers and processor tell all that decides the outcome.
    """

    title: str
    environ: dict[str, str]
    is_kept: bool

    def key(self, pin: str, processor: str) -> str:
        """Of all that decides what comes of compiling ``pin`` for the ``processor``."""
        read = {name: text for name, text in os.environ.items() if READ_BY_BUILDS.match(name)}
        environ = sorted({**read, **self.environ}.items())
        compilers = [_answer(name, "--version") for name in LANGUAGES]
        facts = pin, environ, compilers, platform.machine(), platform.libc_ver(), processor
        return hashlib.sha256(repr(facts).encode()).hexdigest()[:24]


def build_for(backend: str, *, portable: bool) -> Build:
    """What CMAKE_ARGS says goes before everything that is chosen here."""
    asked = os.environ.get("CMAKE_ARGS")
    title, flags = ("what CMAKE_ARGS says", asked) if asked else BACKENDS[backend]
    if not asked:
        flags += UNUSED_FLAGS + PORTABLE_FLAGS * portable
    environ = {"CMAKE_ARGS": flags, **{name: compiler_flags(name) for name in LANGUAGES}}
    if backend == "cuda" and not (os.environ.get("CUDACXX") or shutil.which("nvcc")):
        environ["CUDACXX"] = USUAL_NVCC
    return Build(title, environ, is_kept=not (asked or portable or backend == "cuda"))


def simpler_builds(build: Build, processor: str) -> Iterator[Build]:
    """What to try in turn where the machine dies of ``build``; nothing against CMAKE_ARGS."""
    if os.environ.get("CMAKE_ARGS"):
        return
    environ = build.environ
    if "amx" in processor:
        without = {name: f"{environ[name]} {NO_AMX}".lstrip() for name in LANGUAGES}
        yield replace(build, title=f"{build.title} without AMX", environ={**environ, **without})
    anywhere = {**environ, "CMAKE_ARGS": f"{environ['CMAKE_ARGS']} -DGGML_NATIVE=off"}
    yield replace(build, title=f"{build.title}, for any of its kind", environ=anywhere)


def compiler_flags(name: str) -> str:
    """What CFLAGS or CXXFLAGS is to be; the person's own flags have the last word."""
    own = os.environ.get(name, "")
    return f"{KEEP_STORES} {own}".rstrip() if _is_gcc_for_x86_64(name) else own


def _is_gcc_for_x86_64(name: str) -> bool:
    """Asked of the compiler itself: clang calls itself gcc on some machines."""
    known = _answer(name, "-dM", "-E", "-x", "c", os.devnull)
    macros = {line.split()[1] for line in known.splitlines() if line.startswith("#define ")}
    return {"__GNUC__", "__x86_64__"} <= macros and "__clang__" not in macros


def _answer(name: str, *arguments: str) -> str:
    try:
        done = subprocess.run(
            [*_compiler(name), *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=ANSWER_SECONDS,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


def _compiler(name: str) -> list[str]:
    """The command that CMake will use, as it looks for it."""
    variable, language, usual = LANGUAGES[name]
    given = re.findall(
        rf"-DCMAKE_{language}_COMPILER(?::\w+)?=(\S+)", os.environ.get("CMAKE_ARGS", "")
    )
    if given:
        return [given[-1]]
    command = shlex.split(os.environ.get(variable, ""))
    return command or [next((name for name in usual if shutil.which(name)), usual[0])]


def processor() -> str:
    """Its name and what it can do, as far as the machine tells."""
    with suppress(OSError):
        text = Path("/proc/cpuinfo").read_text(errors="replace")
        return "\n".join(sorted(set(CPU_LINES.findall(text))))
    with suppress(OSError, subprocess.TimeoutExpired):
        command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=ANSWER_SECONDS
        )
        return done.stdout.strip()
    return platform.processor()


def wheel_folder() -> Path:
    """Of this person, for all checkouts: a fresh one is installed in seconds."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "parley" / "wheels"


def find_wheel(key: str) -> Path | None:
    """The one that was kept under this key, if any; it counts as used now."""
    found = next(wheel_folder().glob(f"{key}/*.whl"), None)
    if found:
        with suppress(OSError):
            os.utime(found.parent)
    return found


def keep_wheel(wheel: Path, key: str) -> None:
    """In one go, and the ones used longest ago leave. Where it cannot be written, nothing is."""
    folder = wheel_folder()
    part = folder / f"{key}.part"
    with suppress(OSError):
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        shutil.copy(wheel, part)
        part.replace(folder / key)
        by_use = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime)
        for old in by_use[:-MAX_WHEELS]:
            shutil.rmtree(old, ignore_errors=True)

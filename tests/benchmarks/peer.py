"""llama-cpp-python's own server, which Parley is measured against: same library, same file."""

from __future__ import annotations

import subprocess
import sysconfig
from pathlib import Path

from bot.inference.model_files import locate
from tests.benchmarks.servers import ROOT, Server
from tests.lacking import go_on_without, skip_for_lack
from tests.ports import free_port
from tests.venvs import PackagesMissing, ensure_venv

VENV = ROOT / ".cache" / "bench-venv"
REQUIREMENTS = Path(__file__).with_name("requirements.txt")


def server(folder: Path, *, num_threads: int, **changed: str) -> Server:
    """Its default settings, but for the CPU threads, which are Parley's, and one more: by
    default it ends a running reply when the next request comes, which would not be compared.
    ``changed``: further options, such as ``n_ctx``.
    """
    port = free_port()
    options = {
        "--model": str(locate.locate(locate.EMBEDDED)),
        "--host": "127.0.0.1",
        "--port": str(port),
        "--n_threads": str(num_threads),
        "--n_threads_batch": str(num_threads),
        "--interrupt_requests": "false",
        "--verbose": "false",
        **{f"--{name}": value for name, value in changed.items()},
    }
    words = [word for option in options.items() for word in option]
    command = (str(ensure_python()), "-m", "llama_cpp.server", *words)
    return Server(command, folder, f"http://127.0.0.1:{port}", "/v1/models", {})


def is_there_or_skip() -> None:
    """For fixtures: skips on a laptop without a package index, fails where CI is set."""
    try:
        ensure_python()
    except PackagesMissing as reason:
        skip_for_lack(str(reason))


def ensure_python() -> Path:
    """A virtual environment with what the server needs, which sees llama-cpp-python in ours.

    Raises ``PackagesMissing``.
    """
    return ensure_venv(VENV, REQUIREMENTS, "what llama_cpp.server needs", finish=_link)


def _link(python: Path) -> None:
    """Our packages come after its own on the path."""
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    theirs = subprocess.run(
        [str(python), "-c", code], check=True, capture_output=True, text=True
    ).stdout.strip()
    (Path(theirs) / "parley.pth").write_text(sysconfig.get_path("purelib"))


def main() -> None:
    """``make model-server``: install it now, so that no test has to wait for it."""
    try:
        ensure_python()
    except PackagesMissing as reason:
        go_on_without(f"llama_cpp.server: {reason}")


if __name__ == "__main__":
    main()

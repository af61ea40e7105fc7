"""llama.cpp's own server, of the commit that llama-cpp-python carries, built once.

It takes ten minutes on two cores, so ``make bench`` builds it and nothing that CI runs does.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bot.inference.llama.backend import supports_gpu
from bot.inference.model_files import locate
from deploy.setup import builds
from tests.benchmarks import peer, source
from tests.benchmarks.servers import ROOT, Server
from tests.ports import free_port

FOLDER = ROOT / ".cache" / "llama-server"
BINARY = FOLDER / "bin" / "llama-server"
CMAKE = "cmake==4.4.5"
FOR_DEPTH = ("--flash-attn", "off", "--no-kv-unified")
"""The best flags that were found for threads and replies at depth on CPUs."""
UNIFIED = ("--kv-unified",)
"""One pool for all slots, of which a prompt may take all; a part of it each is its default."""
_TREE = "vendor/llama.cpp"
NUM_SLOTS = 16
_BUILD_SECONDS = 3_600.0
_OPTIONS = ("TESTS", "EXAMPLES", "UI", "WEBUI")
"""Parts of llama.cpp that the server does not need."""


def server(
    folder: Path,
    *,
    num_threads: int,
    num_cells: int,
    num_slots: int = NUM_SLOTS,
    flags: Sequence[str] = (),
) -> Server:
    """Its default settings, but for what Parley's are, too: threads, cells, replies at once.

    ``flags``: further options. Without any, each slot has its part of the cells, and flash
    attention is on.
    """
    port = free_port()
    options = {
        "--model": str(locate.locate(locate.EMBEDDED)),
        "--alias": locate.EMBEDDED,
        "--host": "127.0.0.1",
        "--port": str(port),
        "--threads": str(num_threads),
        "--threads-batch": str(num_threads),
        "--ctx-size": str(num_cells),
        "--parallel": str(num_slots),
    }
    words = [word for option in options.items() for word in option]
    command = (str(ensure_binary()), *flags, *words)
    return Server(command, folder, f"http://127.0.0.1:{port}", "/health", {})


def ensure_binary() -> Path:
    """Built at the first call, or when another version or another build of it is wanted."""
    flags = {name: builds.compiler_flags(name) for name in builds.LANGUAGES}
    options = shlex.split(builds.BACKENDS["cuda"][1]) if supports_gpu() else []
    wanted = f"{source.DISTRIBUTION.read_text()}{sorted(flags.items())}{' '.join(options)}"
    built = FOLDER / "built.txt"
    if built.exists() and built.read_text() == wanted:
        return BINARY
    print(f"building llama-server into {FOLDER.relative_to(ROOT)}, once: ten minutes", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        _build(_unpack(source.download(Path(folder)), Path(folder)), flags, options)
    built.write_text(wanted)
    return BINARY


def _unpack(archive: Path, folder: Path) -> Path:
    with tarfile.open(archive) as content:
        content.extractall(folder, filter="data")
    (tree,) = folder.glob(f"*/{_TREE}")
    return tree


def _cmake() -> str:
    """The machine's, or one from the package index beside the other peers."""
    if found := shutil.which("cmake"):
        return found
    python = peer.ensure_python()
    subprocess.run([str(python), "-m", "pip", "install", "-qq", CMAKE], check=True)
    return str(python.with_name("cmake"))


def _build(tree: Path, flags: dict[str, str], options: Sequence[str]) -> None:
    """With the flags that Parley's own llama.cpp is built with."""
    cmake = _cmake()
    off = [f"-DLLAMA_BUILD_{name}=OFF" for name in _OPTIONS]
    where = ["-S", str(tree), "-B", str(FOLDER), "-DCMAKE_BUILD_TYPE=Release"]
    environ = {**os.environ, **flags}
    commands = (
        [cmake, *where, *off, *options, "-DLLAMA_CURL=OFF", "-DLLAMA_OPENSSL=OFF"],
        [cmake, "--build", str(FOLDER), "--target", "llama-server", "-j", str(os.cpu_count() or 1)],
    )
    for command in commands:
        done = subprocess.run(
            command,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_BUILD_SECONDS,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"llama-server could not be built: {done.stdout[-2000:]}")

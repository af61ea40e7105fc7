"""llama-cpp-python's other server, ``examples/server``: batching, prefix cache; same library."""

from __future__ import annotations

import json
from pathlib import Path

from bot.inference.model_files import locate
from tests.benchmarks import peer, source
from tests.benchmarks.servers import Server
from tests.ports import free_port

_NUM_SEQUENCES = 64
"""As in the example configurations that come with it; what is not said here is its default."""
_LAUNCHER = """
import runpy, sys, types
sys.modules["llama_cpp.mtmd_cpp"] = types.ModuleType("llama_cpp.mtmd_cpp")
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""Parley's llama.cpp is built without its part for pictures, which this server imports."""


def server(folder: Path, *, num_threads: int, num_cells: int) -> Server:
    port = free_port()
    model = {
        "path": str(locate.locate(locate.EMBEDDED)),
        "alias": locate.EMBEDDED,
        "n_ctx": num_cells,
        "n_seq_max": _NUM_SEQUENCES,
        "threads": num_threads,
        "threads_batch": num_threads,
        "kv_unified": True,
        "store_logits": False,
    }
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "config.json"
    config.write_text(json.dumps({"server": {"host": "127.0.0.1", "port": port}, "model": model}))
    python, script = str(peer.ensure_python()), str(source.script())
    command = (python, "-c", _LAUNCHER, script, "-C", str(config))
    return Server(command, folder, f"http://127.0.0.1:{port}", "/healthz", {})

"""llama-cpp-python's other server, ``examples/server``: batching, prefix cache; same library."""

from __future__ import annotations

import json
from pathlib import Path

from bot.inference import models
from tests.benchmarks import peer, source
from tests.benchmarks.servers import Server, free_port

_NUM_SEQUENCES = 64
"""As in the example configurations that come with it; what is not said here is its default."""


def server(folder: Path, *, num_threads: int, num_cells: int) -> Server:
    port = free_port()
    model = {
        "path": str(models.locate(models.EMBEDDED)),
        "alias": models.EMBEDDED,
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
    command = (str(peer.ensure_python()), str(source.script()), "-C", str(config))
    return Server(command, folder, f"http://127.0.0.1:{port}", "/healthz", {})

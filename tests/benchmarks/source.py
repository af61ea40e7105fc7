"""``examples/server/server.py``: only in llama-cpp-python's source distribution, never in ours."""

from __future__ import annotations

import subprocess
import tarfile
import tempfile
from pathlib import Path

from tests.benchmarks import peer
from tests.benchmarks.servers import ROOT

SCRIPT = ROOT / ".cache" / "examples-server" / "server.py"
DISTRIBUTION = Path(__file__).with_name("source.txt")
_MEMBER = "examples/server/server.py"
_FETCH_SECONDS = 300.0


def script() -> Path:
    """Fetched at the first call, or when another version is wanted; pip checks its hash."""
    fetched = SCRIPT.with_name("fetched.txt")
    wanted = DISTRIBUTION.read_text()
    if not fetched.exists() or fetched.read_text() != wanted:
        print(f"fetching {_MEMBER} into {SCRIPT.parent.relative_to(ROOT)}", flush=True)
        SCRIPT.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            SCRIPT.write_bytes(_read(download(Path(folder))))
        fetched.write_text(wanted)
    return SCRIPT


def download(folder: Path) -> Path:
    """The source distribution."""
    options = ["--no-binary", ":all:", "--no-deps", "--require-hashes", "-qq"]
    source = ["-r", str(DISTRIBUTION), "--dest", str(folder)]
    command = [str(peer.ensure_python()), "-m", "pip", "download", *options, *source]
    subprocess.run(command, check=True, timeout=_FETCH_SECONDS)
    (archive,) = folder.glob("*.tar.gz")
    return archive


def _read(archive: Path) -> bytes:
    """The one file that is run; nothing is unpacked."""
    with tarfile.open(archive) as content:
        for member in content:
            if member.name.endswith(_MEMBER) and (found := content.extractfile(member)):
                return found.read()
    raise RuntimeError(f"{archive.name} holds no {_MEMBER}")

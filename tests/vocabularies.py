"""Vocabularies and chat templates of real models, from llama-cpp-python's source distribution.

They are other people's files: fetched by pip into ``.cache``, never committed.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from tests.lacking import go_on_without, skip_for_lack

VERSION = "0.3.36"
SHA256 = "832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e"
CACHE = Path(__file__).resolve().parents[1] / ".cache" / f"llama-cpp-python-{VERSION}-models"
INSIDE = f"llama_cpp_python-{VERSION}/vendor/llama.cpp/models/"


class VocabulariesMissing(Exception):
    """Why they are not here, in one sentence."""


def ensure_vocabularies(folder: Path = CACHE) -> Path:
    """The folder, fetched the first time. Raises ``VocabulariesMissing``."""
    if not folder.is_dir():
        folder.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            archive = _download(Path(scratch))
            _unpack(archive, Path(scratch) / "models").rename(folder)
    return folder


def vocabularies_or_skip() -> Path:
    """For fixtures: skips on a laptop off the network, fails where CI is set."""
    try:
        return ensure_vocabularies()
    except VocabulariesMissing as reason:
        skip_for_lack(str(reason))


def _download(folder: Path) -> Path:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]
    only_source = ["--no-deps", "--no-binary", "llama-cpp-python"]
    command = [*pip, "download", "--quiet", "--retries", "1", *only_source, "--dest", str(folder)]
    done = subprocess.run(
        [*command, f"llama-cpp-python=={VERSION}"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        (*_, why) = done.stderr.splitlines() or ["it gave no reason"]
        raise VocabulariesMissing(f"pip could not download llama-cpp-python's sources: {why}")
    (archive,) = folder.glob("*.tar.gz")
    with archive.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != SHA256:
        raise VocabulariesMissing(f"llama-cpp-python's sources have the wrong SHA-256, {found}.")
    return archive


def _unpack(archive: Path, folder: Path) -> Path:
    with tarfile.open(archive) as tar:
        members = [m for m in tar if m.isfile() and m.name.startswith(INSIDE)]
        for member in members:
            path = folder / member.name.removeprefix(INSIDE)
            path.parent.mkdir(parents=True, exist_ok=True)
            if (content := tar.extractfile(member)) is not None:
                with path.open("wb") as file:
                    shutil.copyfileobj(content, file)
    return folder


def main() -> None:
    """``make vocabularies``: fetch them now, so that no test has to wait for them."""
    if not CACHE.is_dir():
        sys.stdout.write("  fetching vocabularies and chat templates for the tests (77 MB)\n")
    try:
        ensure_vocabularies()
    except VocabulariesMissing as reason:
        go_on_without(str(reason))


if __name__ == "__main__":
    main()

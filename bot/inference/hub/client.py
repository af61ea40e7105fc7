"""What the hub says about a model: its files, and where they come from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from huggingface_hub import HfApi, constants, get_hf_file_metadata
from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status
from huggingface_hub.utils import logging as hub_logging

from bot import __version__
from bot.errors import ModelError
from bot.inference.hub.choice import fitting, listed
from bot.inference.hub.refusals import in_one_sentence
from bot.model_names import HubModel

hub_logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # it logs signed addresses

TIMEOUT = 10.0
_LIBRARY = "parley"
_SHA256, _COMMIT = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file in a commit: its path there and what it must be."""

    path: str
    num_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class FoundModel:
    """A model as the hub has it in ``commit``."""

    model: HubModel
    commit: str
    files: tuple[HubFile, ...]

    @property
    def title(self) -> str:
        """Repository and file, however they were asked for."""
        return f"hf:{self.model.repository}:{self.files[0].path}"

    @property
    def num_bytes(self) -> int:
        return sum(file.num_bytes for file in self.files)


@dataclass(frozen=True, slots=True)
class Location:
    """An address to read a file from; ``headers`` have the token only if it is the hub's own."""

    url: str
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class HubClient:
    """All methods block and raise what ``in_one_sentence`` does; ``HF_TOKEN`` is read each time."""

    endpoint: str

    @classmethod
    def of_environment(cls) -> HubClient:
        return cls(constants.ENDPOINT)

    def look_up(self, model: HubModel) -> FoundModel:
        """The one model that is meant."""
        with in_one_sentence(model, self.endpoint):
            api = HfApi(self.endpoint, library_name=_LIBRARY, library_version=__version__)
            info = api.model_info(model.repository, files_metadata=True, timeout=TIMEOUT)
        siblings = {each.rfilename: each for each in info.siblings or []}
        found = fitting(siblings, model.pattern)
        if len(found) != 1:
            raise ModelError(_not_one(model, found, fitting(siblings, "")))
        files = []
        for path in found[0]:
            lfs, size = siblings[path].lfs, siblings[path].size
            if lfs is None or size is None or not _is_sound(path, lfs.sha256, info.sha or ""):
                raise ModelError(
                    f"The hub names no checksum for {path} of {model.source}: download it "
                    "yourself, and set PARLEY_MODEL to its path."
                )
            files.append(HubFile(path, size, lfs.sha256))
        return FoundModel(model, str(info.sha), tuple(files))

    def locate(self, found: FoundModel, file: HubFile) -> Location:
        """Where the file is now; such an address is valid for minutes or hours."""
        where = f"{found.model.repository}/resolve/{found.commit}/{quote(file.path)}"
        address = f"{self.endpoint}/{where}"
        with in_one_sentence(found.model, self.endpoint):
            metadata = get_hf_file_metadata(
                address,
                timeout=TIMEOUT,
                library_name=_LIBRARY,
                library_version=__version__,
                endpoint=self.endpoint,
            )
        if metadata.etag != file.sha256:
            raise ModelError(f"{found.model.source} changed while it was asked for: try again.")
        own = _origin(metadata.location) == _origin(self.endpoint)
        return Location(metadata.location, _headers(None if own else False))

    def read_start(self, location: Location, num_bytes: int) -> bytes:
        """The first bytes of the file; none where the server cannot give a part of it."""
        headers = {**location.headers, "Range": f"bytes=0-{num_bytes - 1}"}
        with get_session().stream("GET", location.url, headers=headers, timeout=TIMEOUT) as answer:
            hf_raise_for_status(answer)
            return answer.read() if answer.status_code == 206 else b""


def _headers(token: bool | None) -> dict[str, str]:
    headers = build_hf_headers(token=token, library_name=_LIBRARY, library_version=__version__)
    return {**headers, "Accept-Encoding": "identity"}


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()


def _is_sound(path: str, sha256: str, commit: str) -> bool:
    """Whether files of these names stay in the cache."""
    is_inside = not path.startswith("/") and ".." not in path.split("/") and "\\" not in path
    return is_inside and bool(_SHA256.fullmatch(sha256) and _COMMIT.fullmatch(commit))


def _not_one(model: HubModel, found: list[tuple[str, ...]], there: list[tuple[str, ...]]) -> str:
    if found:
        return (
            f"Several files of {model.repository} fit {model.source} ({listed(found)}): name "
            f"one of them, such as hf:{model.repository}:{found[0][0]}"
        )
    if there:
        return f"No file of {model.repository} fits {model.source}; it has {listed(there)}."
    return (
        f"{model.repository} has no whole GGUF file: look for a repository of that model whose "
        "name ends in -GGUF."
    )

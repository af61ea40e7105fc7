"""The checks of ``doctor`` on this machine; each is a function that only reads."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import sqlite3
import urllib.error
import urllib.request
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from bot.config import Settings
from bot.errors import ModelError, ModelNotHere, ParleyError, PersonalityError, StartError
from bot.lock import is_held, running_key, running_url
from bot.model_names import KNOWN

Status = Literal["ok", "off", "warn", "fail"]
_MIB = 1 << 20
_QUANTISATION = re.compile(r"(?:I?Q\d\w*|BF16|F16|F32)", re.IGNORECASE)
_SLOW = {"Q4_1", "Q5_0", "Q5_1"}
"""Quantisations for which llama.cpp has no kernels that use a modern CPU fully."""
_SQLITE = "sqlite:///"
_HEALTH_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report: what was found, and what to do about it."""

    name: str
    status: Status
    detail: str
    advice: str = ""


def check_trial(settings: Settings) -> Check | None:
    """Whether llama.cpp computes with the model without a crash, tried in a process of its own.

    Before the other checks of the model, which ask llama.cpp in this one; None where there is
    no model to try.
    """
    from bot.inference.model_files import locate
    from bot.running.loading import is_proved, prove, prove_draft, prove_source
    from bot.running.proofs import Proofs

    proofs = Proofs()
    try:
        path = locate.locate(settings.model_source)
    except ModelError:
        return None
    if is_held(settings.data_dir) and not is_proved(settings, proofs, path):
        return Check("trial", "off", "not while Parley runs and has the memory")
    try:
        if not prove_source(settings, proofs, path):
            return None
        if copy := _copy_of(path, settings):
            prove(settings, proofs, copy)
        if draft := _draft_of(settings):
            prove_draft(settings, proofs, draft)
    except ModelError as error:
        return Check("trial", "fail", str(error))
    return Check("trial", "ok", "llama.cpp computes with the model, in a process of its own")


def check_tuning(settings: Settings) -> Check:
    """With which options the next start runs the model, and what was measured for them."""
    from bot.inference.model_files import locate
    from bot.running import speeds
    from bot.running.loading import fastest_options, tuning_of, tuning_space
    from bot.running.proofs import Proofs

    proofs, source = Proofs(), locate.locate(settings.model_source)
    path = _copy_of(source, settings) or source
    tuning = tuning_of(settings, proofs, path)
    if tuning is None and tuning_space(settings):
        return Check("tuning", "ok", "the next start measures which attention is faster here")
    used = speeds.in_full(fastest_options(settings, proofs, path), tuning)
    return Check("tuning", "warn" if tuning and tuning.fault else "ok", used)


def check_model(settings: Settings) -> Check:
    """The file, its metadata, and whether memory is enough (unless it is loaded already)."""
    from bot.inference.gguf import memory_check
    from bot.inference.llama.files import read_facts, read_kind
    from bot.inference.model_files import locate

    try:
        source = locate.locate(settings.model_source)
        path = _copy_of(source, settings) or source
        facts, kind = read_facts(path), read_kind(path)
        if not is_held(settings.data_dir):
            memory_check.check_fit(
                facts,
                num_cells=settings.kv_tokens,
                max_batch=settings.running,
                num_running=settings.running,
                available=memory_check.available_bytes(),
            )
    except ModelNotHere:
        return _to_download(settings.model_source)
    except ModelError as error:
        return Check("model", "fail", str(error))
    quantisation = quantisation_in(path)
    shown = [facts.name, *quantisation, f"{facts.num_bytes / _MIB:.0f} MiB"]
    if not kind.can_reuse:
        shown.append(f"{kind}: every turn is evaluated from its beginning")
    detail = f"{', '.join(shown)}, up to {facts.max_context:,} tokens ({path})"
    return Check("model", "ok", detail, _faster(path, settings))


def check_draft(settings: Settings, source: str) -> Check:
    """The draft model, and whether it knows the tokens of the model that it drafts for."""
    from bot.inference.llama.draft_model import check_pair
    from bot.inference.llama.files import read_facts
    from bot.inference.model_files import locate
    from bot.running.loading import find_draft

    try:
        path = find_draft(source)
        facts = read_facts(path)
        with suppress(ModelNotHere):
            check_pair(path, locate.locate(settings.model_source))
    except ModelNotHere:
        return _to_download(source, "draft")
    except ModelError as error:
        return Check("draft", "fail", str(error))
    size = f"{facts.num_bytes / _MIB:.0f} MiB"
    return Check("draft", "ok", f"{facts.name}, {size}, foresees what the model says ({path})")


def _to_download(model: str, check: str = "model") -> Check:
    """The hub is not asked."""
    from bot.inference.hub.cache import is_offline, why_offline

    if is_offline():
        return Check(check, "fail", why_offline(model))
    size = f", about {KNOWN[model].num_bytes / _MIB:,.0f} MiB" if model in KNOWN else ""
    detail = f"{model} is not here yet{size}: the next start downloads it"
    return Check(check, "ok", detail, f"`python -m bot models get {model}` downloads it now.")


def quantisation_in(path: Path) -> list[str]:
    """As the file's name says it last, if it does."""
    return _QUANTISATION.findall(path.stem)[-1:]


def _copy_of(source: Path, settings: Settings) -> Path | None:
    """The faster copy that the next start uses, if it exists already."""
    from bot.running.loading import copies_of, runs_as_copy

    return copies_of(settings, source).find() if runs_as_copy(settings) else None


def _draft_of(settings: Settings) -> Path | None:
    """None where there is none, or none that can be found; ``check_draft`` says why."""
    from bot.running.loading import find_draft

    with suppress(ModelError):
        return find_draft(settings.draft_source) if settings.draft_source else None
    return None


def _faster(path: Path, settings: Settings) -> str:
    """Advice that makes a CPU run the file faster, for quantisations that are slow on it."""
    from bot.inference.model_files import locate
    from bot.running.loading import offloads, runs_as_copy

    if offloads(settings) or not {q.upper() for q in quantisation_in(path)} & _SLOW:
        return ""
    if runs_as_copy(settings):
        return "The next start makes a copy with which most CPUs read prompts faster."
    if settings.model_source == locate.EMBEDDED:
        return "PARLEY_OPTIMIZE=auto makes a copy with which most CPUs read prompts faster."
    return "`python -m bot models optimize` makes a copy that most CPUs run faster."


def check_engine(settings: Settings) -> Check:
    """The instruction sets llama.cpp was built for, and whether it uses the GPU."""
    from bot.inference.llama.backend import supports_gpu, system_info
    from bot.running.loading import describe_device

    info = system_info().replace("= 1", "").replace("|", "").replace(" :", ":")
    build = f"llama.cpp for {' '.join(info.split())}"
    if supports_gpu():
        layers = "all" if settings.gpu_layers < 0 else str(settings.gpu_layers)
        return Check("engine", "ok", f"{build}; layers on the GPU: {layers}")
    if settings.gpu_layers > 0 or shutil.which("nvidia-smi"):
        advice = "Install the CUDA toolkit (nvcc), then run `make clean` and `make run`."
        return Check("engine", "warn", f"{build}; built without GPU support", advice)
    return Check("engine", "ok", f"{build}; {describe_device(settings)}")


def check_data(settings: Settings) -> Check:
    folder = settings.data_dir
    if is_held(folder):
        where = running_url(folder) or "an address not known yet: it is starting"
        return Check("data", "ok", f"{folder} is in use by the Parley at {where}")
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not (existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)):
        advice = "Make it writable, or choose another folder with PARLEY_DATA_DIR."
        return Check("data", "fail", f"{existing} cannot be written", advice)
    return Check("data", "ok", f"{folder} {'is free' if existing == folder else 'will be made'}")


def check_parked(settings: Settings) -> Check:
    """Space for the saved states of idle threads, and how much of it is used on disk."""
    if not settings.parked_memory + settings.parked_disk:
        return Check("parked", "off", "idle threads are evaluated again", "Set PARLEY_PARKED_DISK.")
    folder = settings.data_dir / "parked"
    sizes = [path.stat().st_size for path in folder.glob("*/*.state")]
    memory, disk = settings.parked_memory / _MIB, settings.parked_disk / _MIB
    room = f"idle threads have {memory:,.0f} MiB of memory and {disk:,.0f} MiB of disk"
    return Check("parked", "ok", f"{room}; {len(sizes)} there take {sum(sizes) / _MIB:,.0f} MiB")


def check_database(settings: Settings) -> Check:
    path = Path(settings.database_url.removeprefix(_SQLITE))
    if not path.exists():
        return Check("database", "ok", f"{path} will be made at the first start")
    from bot.history.database import refusing

    try:
        with refusing(path), closing(_read_only(path)) as connection:
            return _database(path, connection)
    except ParleyError as error:
        return Check("database", "fail", str(error))
    except sqlite3.Error as error:
        return Check("database", "fail", f"{path}: {error}", "Set PARLEY_DATABASE_URL to another.")


def _read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)


def _database(path: Path, connection: sqlite3.Connection) -> Check:
    from bot.history.migrate import head, is_known

    (result,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if result != "ok":
        return Check("database", "fail", f"{path} is damaged: {result}", "Put back a backup.")
    (schema,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    if not is_known(schema):
        advice = "Update Parley, or put back a backup that this version has written."
        return Check("database", "fail", f"{path} is of a newer Parley (schema {schema})", advice)
    note = "" if schema == head() else ", migrated at the next start"
    return Check("database", "ok", f"{path} is sound, schema {schema}{note}")


def check_personalities(settings: Settings) -> Check:
    from bot.clock import SystemClock
    from bot.personality import PersonalityBook
    from bot.running.engines import known_models, make_catalogue, remote_faults

    if is_held(settings.data_dir) and (faults := _faults_in_use(settings)):
        advice = (
            "The Parley that runs answers with what was right before; mend the file, "
            "which is read again by itself."
        )
        return Check("personalities", "fail", "\n".join(faults), advice)
    models = known_models(settings, make_catalogue(settings))
    try:
        book = PersonalityBook.load(settings.personalities, settings.personality, models)
    except PersonalityError as error:
        return Check("personalities", "fail", str(error))
    now = SystemClock().now()
    if lacking := remote_faults(settings, book.all(), settings.personalities, now):
        return Check("personalities", "fail", "\n".join(map(str, lacking)))
    return Check("personalities", "ok", ", ".join(book.names))


def check_facts(settings: Settings) -> Check:
    """What of the folders of facts is not read; they are not indexed here."""
    from bot.facts.bases import facts_folder, index_path, unread_files
    from bot.facts.folder import HIDDEN, FactFolderError, scan
    from bot.facts.index import IndexDamaged, check_sqlite
    from bot.personality import PersonalityBook

    try:
        book = PersonalityBook.load(settings.personalities, settings.personality)
        folders = {f for e in book.all() if (f := facts_folder(settings.personalities, e))}
        if not folders:
            return Check("facts", "off", "no personality has any")
        check_sqlite()
        states = {folder: scan(folder) for folder in sorted(folders)}
    except PersonalityError:
        return Check("facts", "off", "not while the personalities are wrong")
    except (StartError, FactFolderError) as error:
        return Check("facts", "fail", str(error))
    unread: list[str] = []
    for folder, state in states.items():
        left_out = state.left_out
        with suppress(FileNotFoundError, IndexDamaged, sqlite3.Error):
            left_out = unread_files(index_path(settings.data_dir, folder), state)
        unread += [f"{folder / path} {why}" for path, why in left_out.items() if why != HIDDEN]
    num_files = sum(len(state.files) for state in states.values())
    detail = f"{num_files:,} files in {', '.join(map(str, states))}"
    if not unread:
        return Check("facts", "ok", detail)
    return Check("facts", "warn", "\n".join([detail, *unread]), "Mend them, or take them away.")


def _faults_in_use(settings: Settings) -> list[str]:
    """What the Parley that runs found wrong in the folder, and since when."""
    url, key = running_url(settings.data_dir), running_key(settings.data_dir)
    headers = {"Accept": "application/json", "Authorization": f"Bearer {key}"}
    try:
        request = urllib.request.Request(f"{url}/admin", headers=headers)  # noqa: S310
        with urllib.request.urlopen(request, timeout=_HEALTH_SECONDS) as answer:  # noqa: S310
            faults = json.load(answer)["faults"]
    except (OSError, ValueError, LookupError):
        return []
    return [
        f"{settings.personalities / fault['file']}"
        f"{':' * bool(fault['line'])}{fault['line'] or ''}: {fault['sentence']} "
        f"(since {datetime.fromisoformat(fault['since']).astimezone():%Y-%m-%d %H:%M})"
        for fault in faults
    ]


def check_port(settings: Settings) -> Check:
    """Whether the port is free, ours, or taken by another program."""
    address = f"{settings.host}:{settings.port}"
    try:
        infos = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)
        family, kind, _, _, target = infos[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(target)
    except OSError as error:
        if _is_ours(settings):
            return Check("port", "ok", f"{address} is served by the Parley that runs")
        advice = "Stop what uses it, or choose others with PARLEY_HOST and PARLEY_PORT."
        return Check("port", "fail", f"{address} cannot be used: {error.strerror}", advice)
    return Check("port", "ok", f"{address} is free")


def _is_ours(settings: Settings) -> bool:
    url = running_url(settings.data_dir) if is_held(settings.data_dir) else None
    if url is None or not url.endswith(f":{settings.port}"):
        return False
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=_HEALTH_SECONDS) as response:  # noqa: S310 - our own address
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False

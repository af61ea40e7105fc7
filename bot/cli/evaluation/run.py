"""``eval FILE``: asks, shows, keeps and compares."""

from __future__ import annotations

import asyncio
import os
import platform
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from rich.console import Console

from bot import __version__
from bot.cli.answered_bar import AnsweredBar
from bot.cli.evaluation.respondent import respondents
from bot.cli.evaluation.shown import show_comparison, show_report
from bot.clock import SystemClock
from bot.config import Settings
from bot.errors import ParleyError, StartError
from bot.evaluation.cases import EvalEngine, EvalSampling, EvalSet, narrowed
from bot.evaluation.comparison import compared, have_some_in_common
from bot.evaluation.reading import read_set
from bot.evaluation.report import EvalReport, RunResult, as_json, read_report
from bot.evaluation.run import EvaluationRun
from bot.personality import PersonalityBook

DONE, WORSE, STOPPED = 0, 1, 130
DEFAULT_BOUND = 5.0
_CPU_NAME = re.compile(r"^model name\s*:\s*(.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalOptions:
    """What the command line says; what is None or empty there is as the file has it."""

    personalities: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    url: str = ""
    key: str = ""
    judge: str = ""
    repeat: int | None = None
    seed: int | None = None
    temperature: float | None = None
    num_at_once: int = 8
    output: Path | None = None
    compare: Path | None = None
    bound: float = DEFAULT_BOUND


async def run(settings: Settings, path: Path, options: EvalOptions) -> int:
    """The exit code. Raises ``StartError`` before anything is asked."""
    asked = await asyncio.to_thread(_wanted, path, options)
    folder, default = settings.personalities, settings.personality
    book = await asyncio.to_thread(PersonalityBook.load, folder, default)
    pairs = asked.asked(default)
    for variant, _ in pairs:
        book.get(variant.personality)
    before = await asyncio.to_thread(read_report, options.compare) if options.compare else None
    if before and not have_some_in_common(before, pairs):
        raise StartError(f"{options.compare} has none of the cases of {path}, asked in this way.")
    if options.output:
        await asyncio.to_thread(_check_output, options.output)
    evaluation, results = await _asked(settings, asked, book, len(pairs), options)
    machine = await asyncio.to_thread(_machine)
    report = _report(asked, results, machine, is_whole=not evaluation.is_stopped)
    if options.output and results:
        await asyncio.to_thread(_write, options.output, as_json(report))
    console = Console(highlight=False)
    if results:
        show_report(report, console)
    if evaluation.failure:
        raise evaluation.failure
    if evaluation.is_stopped:
        return STOPPED
    if results and all(result.error for result in results):
        raise ParleyError(f"Nothing was answered: {results[0].error}")
    if before is None:
        return DONE
    comparison = compared(before, report)
    show_comparison(comparison, f"{options.compare}", options.bound, console)
    return WORSE if comparison.worse(options.bound) else DONE


async def _asked(
    settings: Settings, asked: EvalSet, book: PersonalityBook, num_pairs: int, options: EvalOptions
) -> tuple[EvaluationRun, list[RunResult]]:
    num_failed = 0

    def advance(is_failed: bool) -> None:
        nonlocal num_failed
        num_failed += is_failed
        bar.advance(num_failed)

    async with respondents(settings, asked, book, options.num_at_once) as who:
        evaluation = EvaluationRun(asked, who, settings.personality, advance)
        with AnsweredBar(num_pairs * asked.repeat) as bar, _stopping(evaluation):
            return evaluation, await evaluation.run(options.num_at_once)


@contextmanager
def _stopping(evaluation: EvaluationRun) -> Iterator[None]:
    """Ctrl-C keeps what was answered; a second one waits for nothing."""
    loop = asyncio.get_running_loop()

    def stop() -> None:
        evaluation.stop()
        loop.remove_signal_handler(signal.SIGINT)

    loop.add_signal_handler(signal.SIGINT, stop)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)


def _wanted(path: Path, options: EvalOptions) -> EvalSet:
    """The set as the command line wants it. Blocks. Raises ``StartError``."""
    asked = read_set(path, os.environ)
    if options.personalities:
        cases = narrowed(asked.cases, options.personalities)
        if not cases:
            names = ", ".join(options.personalities)
            raise StartError(f"No case is for {names}; leave out --personality to ask all.")
        asked = replace(asked, cases=cases, personalities=options.personalities)
    if options.url:
        asked = replace(asked, models=(), engines=_engines(options))
    elif options.models:
        asked = replace(asked, models=options.models, engines=())
    sampling = EvalSampling(
        asked.sampling.temperature if options.temperature is None else options.temperature,
        asked.sampling.seed if options.seed is None else options.seed,
        asked.sampling.max_tokens,
    )
    judge = options.judge or asked.judge
    return replace(asked, sampling=sampling, repeat=options.repeat or asked.repeat, judge=judge)


def _engines(options: EvalOptions) -> tuple[EvalEngine, ...]:
    parts = urlsplit(options.url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise StartError(f"--url is {options.url!r}; write it as http://gpu1:8000/v1.")
    key = _key(options.key)
    host = parts.netloc.rpartition("@")[2]
    models = options.models or ("",)
    return tuple(
        EvalEngine(f"{host} {model}" if len(models) > 1 else host, options.url, model, key)
        for model in models
    )


def _key(given: str) -> str:
    if not given.startswith("@"):
        return given
    try:
        return Path(given[1:]).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise StartError(f"--key: the file {given[1:]} cannot be read.") from None


def _check_output(path: Path) -> None:
    if path.exists() and not path.is_file():
        raise StartError(f"{path} is no file; choose another --output.")
    if not os.access(path.parent, os.W_OK):
        raise StartError(f"{path} cannot be written; choose another --output.")


def _write(path: Path, text: str) -> None:
    draft = path.with_name(f"{path.name}.new")
    try:
        draft.write_text(text, encoding="utf-8")
        os.replace(draft, path)
    except OSError as error:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise ParleyError(f"{path} cannot be written: {error.strerror}.") from None


def _report(
    asked: EvalSet, results: list[RunResult], machine: str, *, is_whole: bool
) -> EvalReport:
    return EvalReport(
        title=asked.title,
        at=SystemClock().now(),
        version=__version__,
        machine=machine,
        repeat=asked.repeat,
        temperature=asked.sampling.temperature,
        seed=asked.sampling.seed,
        judge=asked.judge,
        is_whole=is_whole,
        runs=tuple(results),
    )


def _machine() -> str:
    """This one, which need not be where the model runs."""
    name = platform.processor() or platform.machine()
    with suppress(OSError):
        found = _CPU_NAME.search(Path("/proc/cpuinfo").read_text(errors="replace"))
        name = found[1] if found else name
    return f"{os.cpu_count()} cores of {name}"

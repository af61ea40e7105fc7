"""The composition root: builds, starts, watches and closes everything."""

from __future__ import annotations

import asyncio
import gc
import importlib
import os
import secrets
import signal
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import psutil

from adapters.http import threads
from adapters.http.routes import MANNERS, routes
from adapters.web.context import PageContext
from adapters.web.routes import page_routes
from bot.adapter_support.callers import CallerCheck
from bot.attachments.attachments import MAX_FILES, MAX_SIZES
from bot.attachments.uploads import Uploads
from bot.capabilities import Capabilities
from bot.chats import Chats
from bot.clock import SystemClock
from bot.config import Settings
from bot.conversation import ConversationRules, ConversationService
from bot.errors import EngineFailed
from bot.facts.bases import FactBases
from bot.grounding.choice import SourceChoice
from bot.grounding.grounder import Grounder
from bot.grounding.refreshing import SourceRefresher
from bot.history.store import SqlThreadStore, database_path, open_store
from bot.history.summaries import summarise
from bot.lock import DataLock
from bot.metrics import Metrics
from bot.personality import Check, PersonalityBook
from bot.ports import Adapter, AdapterContext
from bot.prompt import check_prompts
from bot.reading.reader import PageReader
from bot.running.alone import alone
from bot.running.banner import Banner
from bot.running.cards import ModelCards
from bot.running.database_watch import DatabaseWatch
from bot.running.desktop import open_page
from bot.running.engines import (
    Engine,
    OffloadsThreads,
    check_remotes,
    describe_device,
    is_computing,
    make_catalogue,
    make_engine,
    model_state,
    name_of_model,
    names_of,
    remote_models,
    servers_of,
)
from bot.running.fetching import fetch_default, fetch_named, one_by_one
from bot.running.maintenance import (
    measure_lag,
    prune,
    read_personalities,
    reread_facts,
    reread_personalities,
)
from bot.running.notify import ServiceManager
from bot.running.overview import Overviews
from bot.running.stacks import stacks_on_signal
from bot.running.supervision import LateConversations, Supervisor
from bot.running.ways_in import make_access, server_settings
from bot.server import Readiness, Server
from bot.strategies.answering import Answering
from bot.web.sign_ins import SignIns

_CONNECT_SECONDS = 15.0


async def run(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT, drain until a second one, and return the exit code."""
    stopping, hurrying = asyncio.Event(), asyncio.Event()

    def stop() -> None:
        (hurrying if stopping.is_set() else stopping).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    async with AsyncExitStack() as stack:
        stack.enter_context(stacks_on_signal())
        app = App(settings, stack)
        starting = asyncio.create_task(app.start())
        waiting = asyncio.create_task(stopping.wait())
        await asyncio.wait([starting, waiting], return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            await asyncio.wait([starting])
            return 0
        await starting
        await waiting
        await app.drain(hurrying)
    app.banner.stopped()
    return 0


@asynccontextmanager
async def serving_alone(settings: Settings) -> AsyncIterator[None]:
    """A Parley for a command of this process: found through the data folder, as any other is.

    What is under way when it ends is taken up at the next start.
    """
    hurrying = asyncio.Event()
    hurrying.set()
    async with AsyncExitStack() as stack:
        app = App(alone(settings), stack, elsewhere=settings.platforms, is_quiet=True)
        await app.start()
        try:
            yield
        finally:
            await app.drain(hurrying)


class App:
    """Everything that runs, in the order in which it comes up; ``stack`` closes it again.

    ``elsewhere``: see ``ConversationRules``.
    """

    def __init__(
        self,
        settings: Settings,
        stack: AsyncExitStack,
        *,
        elsewhere: Sequence[str] = (),
        is_quiet: bool = False,
    ) -> None:
        self._settings = settings
        self._elsewhere = tuple(elsewhere)
        self._stack = stack
        self._clock = SystemClock()
        self._access = make_access(settings, self._clock)
        self._metrics = Metrics()
        self.banner = Banner(is_quiet=is_quiet)
        self._manager = ServiceManager(os.environ, os.getpid())
        self._conversations = LateConversations()
        self._service: ConversationService | None = None
        self._engine: Engine | None = None
        self._database: DatabaseWatch | None = None
        self._refreshing: asyncio.Task[None] | None = None
        self._supervisors: list[Supervisor] = []
        self._is_open = False
        self._device = "CPU"
        self._own_key = secrets.token_urlsafe(32)
        self._chats: asyncio.Future[Chats] = asyncio.get_running_loop().create_future()
        self._overviews = Overviews(
            self._metrics,
            self._clock,
            settings.data_dir,
            model=lambda: model_state(self._engine, settings, self._device),
            database=self._database_status,
            adapters=lambda: [supervisor.state for supervisor in self._supervisors],
            summarise=lambda since: summarise(database_path(settings.database_url), since),
        )

    async def start(self) -> None:
        """Raises ``StartError`` with what to do; returns when everybody may ask."""
        self.banner.loading(name_of_model(self._settings))
        self._manager.loading(name_of_model(self._settings))
        settings, enter = self._settings, self._stack.enter_async_context
        lock = await enter(DataLock(settings.data_dir))
        catalogue = make_catalogue(settings)
        book = await read_personalities(settings, catalogue)
        self._overviews.watch(book)
        store = await open_store(settings.database_url, self._clock)
        self._stack.push_async_callback(store.close)
        self._database = DatabaseWatch(store.is_sound)
        allowed, robots = settings.fetch_allow, settings.robots
        pages = await enter(PageReader.of(allowed, robots, self._clock, self._metrics))
        facts = FactBases(settings.personalities, settings.data_dir, self._metrics)
        self._stack.callback(facts.close)
        adapters = {name: self._make_adapter(name) for name in settings.platforms}
        cards = ModelCards(settings, catalogue, lambda: self._engine)
        server = await enter(self._make_server(adapters, cards))
        self._stack.callback(self._chats.cancel)
        await fetch_default(settings, self.banner.download)
        fetch = partial(fetch_named, settings, catalogue, shows=self.banner.download)
        await fetch(book.all())
        make = partial(make_engine, settings, self._metrics, catalogue, banner=self.banner)
        self._engine = await enter(await asyncio.to_thread(make))
        device = await asyncio.to_thread(describe_device, settings)
        self.banner.model(
            self._engine.name,
            window=self._engine.window,
            running=settings.running,
            device=device,
        )
        self._device = "remote" if settings.is_remote else device.split()[0]
        folder, max_tokens = settings.personalities, settings.max_tokens
        fits = partial(check_prompts, self._engine, folder=folder, max_tokens=max_tokens)
        await fits(book.all())
        remotes = await enter(remote_models(settings, self._metrics))
        answering = Answering(self._engine, self._metrics, self._clock, remotes)
        choice = SourceChoice(self._engine, self._metrics)
        grounder = Grounder(self._metrics, pages, facts, choice)
        self._service = self._make_service(store, book, adapters, answering, grounder)
        self._stack.push_async_callback(self._service.close)
        self._conversations.arrive(self._service)
        self._chats.set_result(self._service.chats)
        await self._start_adapters(adapters)
        await self._service.start()
        await asyncio.to_thread(lock.announce, server.url, self._own_key)
        for supervisor in self._supervisors:
            supervisor.go.set()
        self._is_open = True
        have_remotes = partial(check_remotes, settings)
        self._watch(store, self._service, book, one_by_one(have_remotes, fetch, fits))
        refresher = SourceRefresher(pages, book.all, self._clock, self._metrics)
        self._refreshing = self._spawn(refresher.run(), "parley-sources")
        self._spawn(reread_facts(book, facts, self._clock), "parley-facts")
        self.banner.platforms(settings, [s.state for s in self._supervisors])
        self.banner.ways_in(self._settings, server.url)
        self.banner.first_steps(settings)
        self.banner.page(settings, server.url)
        begun_at = await asyncio.to_thread(lambda: psutil.Process().create_time())
        self.banner.ready(self._clock.now().timestamp() - begun_at)
        self._manager.ready(server.url, self._engine.name)
        is_alive = partial(is_computing, self._engine)
        self._spawn(self._manager.keep_up(is_alive, self._clock), "parley-watchdog")
        if settings.open_page == "auto":
            open_page(f"{server.url}/")
        gc.collect()
        gc.freeze()  # what is here stays: a full collection over it took 100 ms of the event loop

    async def drain(self, hurrying: asyncio.Event) -> None:
        """Let running replies end, for ``drain_seconds``; ``hurrying`` cuts that short."""
        self.banner.stopping(self._settings.drain_seconds)
        self._manager.stopping()
        if self._refreshing:
            self._refreshing.cancel()
        if self._service:
            await self._service.drain(self._settings.drain_seconds, hurrying)
        if self._service and not hurrying.is_set():
            await self._service.end_answers()

    def _make_adapter(self, name: str) -> Adapter:
        module = importlib.import_module(f"adapters.{name}")
        context = AdapterContext(
            self._settings.platform(name),
            self._metrics.platform_observer(name),
            self._clock,
            self._settings.data_dir / name,
            self._conversations.personalities,
            self._conversations.standing,
            self._conversations.listens,
            self._conversations.refusal_of,
        )
        adapter: Adapter = module.create(context)
        return adapter

    def _make_server(self, adapters: dict[str, Adapter], cards: ModelCards) -> Server:
        settings = server_settings(self._settings, self._own_key)
        sign_ins = SignIns(self._clock, self._settings.data_dir / "web" / "sign_ins.json")
        server = Server(settings, self._metrics, self._readiness, sign_ins)
        server.mount(
            routes(
                self._conversations,
                model_names=self._model_names,
                aliases=self._settings.model_aliases,
                clock=self._clock,
                device=lambda: self._device,
                observe_command=self._metrics.count_command,
                socket_end=self._settings.socket_end,
                describe=cards.describe,
            ),
            manners=MANNERS,
        )
        server.mount_page(page_routes(self._page_context(server.callers)))
        server.mount_page(threads.routes(self._conversations, server.callers))
        for adapter in adapters.values():
            if web := Capabilities.of(adapter).web:
                server.mount(web.routes(), verified=True)
        return server

    def _page_context(self, callers: CallerCheck) -> PageContext:
        settings = self._settings
        return PageContext(
            chats=self._chats,
            callers=callers,
            clock=self._clock,
            model=lambda: self._model_names()[0],
            personalities=self._conversations.personalities,
            personality=settings.personality,
            is_admin=self._access.is_admin,
            overview=self._overviews.read,
            max_files=MAX_FILES,
            max_upload=max(MAX_SIZES.values()),
            links=settings.links,
            is_secure=(settings.public_url or "").startswith("https:"),
            observe_request=self._metrics.count_page_request,
        )

    def _make_service(
        self,
        store: SqlThreadStore,
        book: PersonalityBook,
        adapters: dict[str, Adapter],
        answering: Answering,
        grounder: Grounder,
    ) -> ConversationService:
        settings = self._settings
        if self._engine is None:
            raise EngineFailed("The engine is not there yet.")
        rules = ConversationRules(
            personality=settings.personality,
            max_tokens=settings.max_tokens,
            stop_reactions=settings.stop_reactions,
            recover_seconds=settings.recover_seconds,
            max_waiting_per_channel=settings.max_waiting_per_channel,
            links=settings.links,
            retention_days=settings.retention_days,
            elsewhere=self._elsewhere,
            read_pages=settings.read_pages,
        )
        return ConversationService(
            store=store,
            generator=self._engine,
            personalities=book,
            access=self._access,
            adapters=adapters,
            clock=self._clock,
            metrics=self._metrics,
            rules=rules,
            uploads=Uploads(settings.data_dir / "uploads"),
            answering=answering,
            grounder=grounder,
        )

    async def _start_adapters(self, adapters: dict[str, Adapter]) -> None:
        """Connect each; one that fails is reported and retried, and delays nobody."""
        for adapter in adapters.values():
            supervisor = Supervisor(adapter, self._conversations.handle, self._clock)
            self._supervisors.append(supervisor)
            self._spawn(supervisor.run(), f"parley-{adapter.name}")
        settled = [asyncio.create_task(s.settled.wait()) for s in self._supervisors]
        if settled:
            _, late = await asyncio.wait(settled, timeout=_CONNECT_SECONDS)
            for task in late:
                task.cancel()

    def _watch(
        self,
        store: SqlThreadStore,
        service: ConversationService,
        book: PersonalityBook,
        check: Check,
    ) -> None:
        self._spawn(reread_personalities(book, check, self._clock), "parley-personalities")
        engine = self._engine
        forget_saved = engine.forget_saved if isinstance(engine, OffloadsThreads) else None
        pruning = prune(
            store,
            self._settings.retention_days,
            self._clock,
            forget=service.let_go,
            sweep=service.sweep_uploads,
            forget_saved=forget_saved,
        )
        self._spawn(pruning, "parley-prune")
        self._spawn(self._overviews.throughput.measure(), "parley-throughput")
        self._spawn(measure_lag(self._metrics, self._clock), "parley-lag")

    def _spawn(self, work: Coroutine[None, None, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        self._stack.push_async_callback(_end, task)
        return task

    def _model_names(self) -> tuple[str, ...]:
        return names_of(self._engine, self._settings)

    async def _database_status(self) -> Mapping[str, str]:
        return await self._database.status() if self._database else {"status": "opening"}

    async def _readiness(self) -> Readiness:
        engine, database = self._engine, await self._database_status()
        model = model_state(engine, self._settings, self._device)
        states = [s.state for s in self._supervisors]
        body = {
            "ready": model.status == database["status"] == "up" and self._is_open,
            "model": {"name": model.name, "status": model.status, **servers_of(engine)},
            "database": database,
            "adapters": {s.name: {"status": s.status, "detail": s.detail} for s in states},
        }
        return Readiness(bool(body["ready"]), body)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])

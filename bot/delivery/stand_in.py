"""StandIn: a 👀 under the question, or "typing", until the reply's first message fits."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from bot.errors import PlatformError
from bot.pacing import EditBudget
from bot.ports import Adapter, Reacts
from bot.types import Place

logger = logging.getLogger(__name__)


class StandIn:
    """Decoration: it is left out rather than waited for, and its failures hurt nobody.

    ``may_be_left``: a process that died may have left its 👀.
    """

    def __init__(
        self,
        adapter: Adapter,
        budget: EditBudget,
        place: Place,
        question_id: str | None,
        *,
        may_be_left: bool,
    ) -> None:
        self._adapter = adapter
        self._budget = budget
        self._place = place
        self._question_id = question_id
        self._is_shown = may_be_left

    async def show(self) -> None:
        adapter, question_id = self._adapter, self._question_id
        method = "react" if isinstance(adapter, Reacts) else "typing"
        if self._is_shown or not self._has_room(method):
            return
        self._is_shown = True
        if isinstance(adapter, Reacts) and question_id is not None:
            await self._call("react", lambda: adapter.react(self._place, question_id))
        else:
            await self._call("typing", lambda: adapter.typing(self._place))

    async def remove(self, *, patiently: bool) -> None:
        adapter, question_id = self._adapter, self._question_id
        if not self._is_shown or not isinstance(adapter, Reacts) or question_id is None:
            return
        if patiently or self._has_room("unreact"):
            self._is_shown = False
            await self._call("unreact", lambda: adapter.unreact(self._place, question_id))

    def _has_room(self, method: str) -> bool:
        return self._budget.has_room(method, self._place, self._question_id)

    async def _call(self, method: str, call: Callable[[], Awaitable[None]]) -> None:
        try:
            async with self._budget.call(method, self._place, self._question_id):
                await call()
        except PlatformError as error:
            logger.debug("%s failed: %s", method, error)

"""The models without a personality, and each personality as a model of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from adapters.http.common.errors import InvalidBody
from bot.errors import StillLoading
from bot.ports import Conversations

ModelNames = Callable[[], Sequence[str]]
"""The models that can be asked, the default first; it may change."""


_ANY, _DEFAULT = "*", "default"


@dataclass(frozen=True, slots=True)
class Resolved:
    """A name that was asked for, and its personality or model; the default model has neither."""

    name: str
    personality: str | None = None
    model: str | None = None


class Models:
    """``aliases``: other names, also for ``default``; ``*`` stands for any unknown name."""

    def __init__(
        self,
        conversations: Conversations,
        names: ModelNames,
        aliases: Mapping[str, str],
    ) -> None:
        self._conversations = conversations
        self._aliases = aliases
        self._model_names = names

    def names(self) -> tuple[str, ...]:
        """Every name that may be asked for."""
        names = dict.fromkeys((*self._names(), *self._aliases))
        return tuple(name for name in names if name != _ANY)

    def resolve(self, asked: str | None) -> Resolved:
        """A personality takes precedence over a model of its name, but not over the default one.

        Raises ``InvalidBody`` for an unknown name, and ``StillLoading`` while personalities are
        unknown.
        """
        default, *others = self._model_names()
        if not asked or asked == default:
            return Resolved(default)
        stands = ""
        if asked not in self._names() and (alias := self._alias_of(asked)):
            if alias in (default, _DEFAULT):
                return Resolved(default)
            asked, stands = alias, f", for which {asked!r} stands"
        if asked not in self._names():
            if not self._personalities():
                raise StillLoading
            raise InvalidBody(
                f"There is no model {asked!r}{stands}; known are {', '.join(self._names())}.",
                param="model",
                code="model_not_found",
                status=HTTPStatus.NOT_FOUND,
            )
        if asked in others and asked not in self._personalities():
            return Resolved(asked, model=asked)
        return Resolved(asked, personality=asked)

    def _alias_of(self, asked: str) -> str | None:
        return self._aliases.get(asked, self._aliases.get(_ANY))

    def _names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self._model_names(), *self._personalities())))

    def _personalities(self) -> tuple[str, ...]:
        return tuple(p.name for p in self._conversations.personalities())

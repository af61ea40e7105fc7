"""Every exception of Parley, in one tree.

ParleyError                   str(error) is one sentence a person can act on
├── StartError                start is refused; the process ends with exit code 2
│   ├── SettingsError         wrong settings, all of them at once
│   ├── PersonalityError      a file in personalities/ is wrong
│   ├── ModelError            no model, a wrong file, not enough memory
│   │   ├── ModelNotHere      it is on the hub and was not downloaded
│   │   └── ModelDied         llama.cpp crashes or hangs with it
│   └── DataError             the data folder or the database cannot be used from the start
├── RequestError              a question or request is refused; nothing was done
│   ├── EmptyQuestion
│   ├── PromptTooLong         does not fit the window
│   ├── ConversationRefused   the model's chat template does not accept it
│   ├── QueueFull             try again after ``retry_after`` seconds
│   ├── AccessDenied
│   ├── OverLimit             too many in flight or per minute; ``retry_after``
│   ├── UnknownPersonality
│   ├── UnknownAnswer         nobody of this account was given an answer of this id
│   ├── UnknownChat           this person has no such chat, or no such turn in one
│   ├── UnknownThread         no thread is kept of such a place
│   ├── UnsupportedFormat     no grammar can enforce this format
│   └── UnsupportedSampling   the engine cannot choose tokens so
├── HubUnavailable            the hub of models does not answer now; later it may
├── EngineFailed              the engine failed under a generation
├── StorageError              while Parley runs: the history could not be read or written
│   └── StorageFull           the disk (or its quota) is full; nothing was stored
└── PlatformError             raised by adapters, never an SDK's own exception
    ├── RateLimited           the platform asks to wait ``retry_after`` seconds
    ├── MessageGone           the message or its channel no longer exists
    ├── NotPermitted          not a member, no permission, token revoked
    ├── MessageTooLong        the platform refuses the size
    ├── ReplyStopped          the person pressed the platform's own stop
    ├── Unavailable           5xx, dropped, timed out; ``ambiguous`` if it may have happened
    └── PlatformRefused       any other refusal, with the platform's code
        └── TextRefused       a filter of words or links; another text may pass
"""

from __future__ import annotations

import math

ANSWER_FAILED = "The answer failed inside Parley. Please ask again."
"""For who asked, where a defect of Parley's ended the answer; the log has what happened."""


class ParleyError(Exception):
    """The root; its text is one clear sentence."""


class StartError(ParleyError):
    """Parley cannot start; exit code 2. The text is for whoever runs it and may name paths."""


class SettingsError(StartError):
    """One or more settings are wrong; ``problems`` holds one sentence each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class PersonalityError(StartError):
    """A personality file is wrong; the text names file and line."""


class ModelError(StartError):
    """The model cannot be used; the text says what to do."""


class ModelNotHere(ModelError):
    """The model is one of the hub and not on this machine yet."""


class HubUnavailable(ParleyError):
    """No network, a fault of the hub's, or it asks to wait; nothing that was set is wrong."""


class ModelDied(ModelError):
    """llama.cpp crashes or hangs when it computes with the model; more memory does not help."""


class DataError(StartError):
    """The data folder or database cannot be used at the start; the text says what to do."""


class RequestError(ParleyError):
    """The request is refused before anything was done."""


class EmptyQuestion(RequestError):
    """There is nothing to answer."""


class PromptTooLong(RequestError):
    """``num_tokens`` do not fit into ``max_tokens``."""

    def __init__(self, num_tokens: int, max_tokens: int) -> None:
        super().__init__(
            f"This is too long for the model: {num_tokens:,} tokens, and {max_tokens:,} fit. "
            "Please shorten it or send it in parts."
        )
        self.num_tokens = num_tokens
        self.max_tokens = max_tokens


class ConversationRefused(RequestError):
    """The model's chat template does not accept a conversation of this form."""


class QueueFull(RequestError):
    """Everybody is asking at once; ``retry_after`` in seconds."""

    def __init__(self, retry_after: float) -> None:
        seconds = max(1, math.ceil(retry_after))
        super().__init__(f"Too many questions are waiting; please try again in {seconds} s.")
        self.retry_after = retry_after


class AccessDenied(RequestError):
    """This person may not use Parley here."""


class OverLimit(RequestError):
    """A per-person limit is used up; ``retry_after`` in seconds."""

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class UnknownAnswer(RequestError):
    """This account has no answer of this id, or it is too old."""

    def __init__(self, answer_id: str) -> None:
        super().__init__(f"There is no answer {answer_id!r} that was given to this key.")


class UnknownChat(RequestError):
    """This person has no chat, or no turn in one, of that id."""

    def __init__(self) -> None:
        super().__init__("There is no such chat (any more).")


class UnknownThread(RequestError):
    """Nothing is kept of this place."""

    def __init__(self, place: object) -> None:
        super().__init__(f"There is no thread {str(place)!r} (any more).")


class UnknownPersonality(RequestError):
    """No personality (or model) has this name."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        super().__init__(f"There is no personality {name!r}; known are {', '.join(known)}.")
        self.name = name


class UnsupportedFormat(RequestError):
    """The answer format is too large, infinitely recursive, or not expressible as a grammar.

    ``name`` is the key that programs ask for such a format with.
    """

    def __init__(self, message: str, *, name: str = "response_format") -> None:
        super().__init__(message)
        self.name = name


class NotOffered(RequestError):
    """The engine does nothing of the kind that a program asks for."""


class UnsupportedOption(RequestError):
    """The engine cannot do what a program asks for with the key ``name``."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name} {problem}")
        self.name = name


class UnsupportedSampling(UnsupportedOption):
    """``name`` is a field of ``Sampling``."""


class EngineFailed(ParleyError):
    """The engine failed while it worked on this generation."""


class StillLoading(EngineFailed):
    """There is no engine yet."""

    def __init__(self) -> None:
        super().__init__("The model is still loading. Please ask again in a minute.")


class StorageError(ParleyError):
    """The history could not be read or written.

    The text is for people in a chat. ``detail`` is for whoever runs Parley: it names the file
    and says what to do.
    """

    sentence = (
        "I cannot get at my memory of conversations at the moment; please ask again in a minute."
    )

    def __init__(self, detail: str) -> None:
        super().__init__(self.sentence)
        self.detail = detail


class StorageFull(StorageError):
    """The disk is full."""

    sentence = "My disk is full, so I cannot take this at the moment; please ask again later."


class PlatformError(ParleyError):
    """A platform refused or failed a call."""


class RateLimited(PlatformError):
    """The platform asks to wait ``retry_after`` seconds."""

    def __init__(self, method: str, retry_after: float) -> None:
        super().__init__(f"{method} was rate limited; it may be called again in {retry_after} s.")
        self.method = method
        self.retry_after = retry_after


class MessageGone(PlatformError):
    """The message or its channel no longer exists; do not try again."""


class NotPermitted(PlatformError):
    """The bot may not do this; do not try again."""


class MessageTooLong(PlatformError):
    """The platform refuses the size of the message."""


class ReplyStopped(PlatformError):
    """The person pressed the platform's own stop button: the reply must end."""


class Unavailable(PlatformError):
    """The platform failed or was out of reach; an ``ambiguous`` call may have happened."""

    def __init__(self, message: str, *, ambiguous: bool) -> None:
        super().__init__(message)
        self.ambiguous = ambiguous


class PlatformRefused(PlatformError):
    """Any other refusal; ``code`` is the platform's own word for it."""

    def __init__(self, method: str, code: str) -> None:
        super().__init__(f"{method} was refused: {code}.")
        self.method = method
        self.code = code


class TextRefused(PlatformRefused):
    """A filter of the platform refuses these words or links, and may let another text pass."""


class FileRefused(PlatformRefused):
    """``why``: the reason for which a file cannot be had, as a person may read it."""

    def __init__(self, method: str, code: str, why: str) -> None:
        super().__init__(method, code)
        self.why = why


def refusal_for_people(error: PlatformError) -> str:
    """What stands in place of a reply that a platform does not show."""
    if isinstance(error, TextRefused):
        return "A filter of words or links here refused my answer; please ask in another way."
    return "I have an answer, but could not show it here. Say `retry` to try again."


def sentence_for_people(error: BaseException) -> str:
    """The text of an error for a person in a chat: without paths or details of a defect."""
    is_for_people = isinstance(error, ParleyError) and not isinstance(error, StartError)
    return str(error) if is_for_people else "Something went wrong inside me."

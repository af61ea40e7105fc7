"""What went wrong with the hub, as one sentence: the one place that knows the library's errors."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx2
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import get_token, parse_ratelimit_headers

from bot.errors import HubUnavailable, ModelError
from bot.inference.hub.cache import why_offline
from bot.model_names import HubModel

_ERRNO = re.compile(r"^\[Errno -?\d+\] ")
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def in_one_sentence(model: HubModel, endpoint: str) -> Iterator[None]:
    """For every error of the library, the network and the disk: raises ``ModelError``, or
    ``HubUnavailable`` where trying again may be all that is needed.
    """
    try:
        yield
    except HfHubHTTPError as error:
        kind = HubUnavailable if _may_pass(error.response.status_code) else ModelError
        raise kind(_answered(error, model, endpoint)) from error
    except OfflineModeIsEnabled as error:
        raise ModelError(why_offline(model.source)) from error
    except (httpx2.RequestError, httpx2.InvalidURL) as error:
        raise HubUnavailable(
            f"The hub at {host_of(endpoint)} cannot be reached for {model.source} "
            f"({_reason(error)}): check the network, HF_ENDPOINT and your proxy, and try again; "
            "what came of it is kept."
        ) from error
    except OSError as error:
        raise ModelError(_on_disk(error, model)) from error
    except ValueError as error:  # JSON or headers that are none
        raise ModelError(
            f"{host_of(endpoint)} does not answer as the Hugging Face hub does: check "
            "HF_ENDPOINT, your proxy, and HF_TOKEN."
        ) from error


def host_of(endpoint: str) -> str:
    return urlsplit(endpoint).netloc or endpoint


def _may_pass(status: int) -> bool:
    return status == httpx2.codes.TOO_MANY_REQUESTS or httpx2.codes.is_server_error(status)


def _reason(error: Exception) -> str:
    """A line without the address, which may be signed for us alone."""
    text = _ERRNO.sub("", str(error).partition("\n")[0])
    return text if text and "://" not in text else type(error).__name__


def _answered(error: HfHubHTTPError, model: HubModel, endpoint: str) -> str:
    status, page = error.response.status_code, f"{endpoint}/{model.repository}"
    if isinstance(error, GatedRepoError):
        return f"{model.source} is gated: {_conditions(page)}."
    if isinstance(error, RemoteEntryNotFoundError | RevisionNotFoundError):
        return f"{model.source} changed on the hub while it was asked for: try again."
    if status == httpx2.codes.UNAUTHORIZED and get_token() and not _is_missing(error):
        return f"The hub does not accept HF_TOKEN for {model.source}: set it to a valid token."
    if status in (httpx2.codes.UNAUTHORIZED, httpx2.codes.NOT_FOUND):
        other = "one that may read it" if get_token() else "a token that may read it"
        return (
            f"There is no repository {model.repository} at {host_of(endpoint)}, or it is "
            f"private: check the name, or set HF_TOKEN to {other}."
        )
    if status == httpx2.codes.FORBIDDEN:
        return f"The hub forbids {model.source}: {_conditions(page)}."
    if status == httpx2.codes.TOO_MANY_REQUESTS:
        advice = "" if get_token() else ", or set HF_TOKEN, which is allowed more"
        return f"The hub was asked too often: try again {_pause(error.response)}{advice}."
    if httpx2.codes.is_server_error(status):
        return f"The hub at {host_of(endpoint)} has a fault ({status}): try again later."
    return f"The hub refuses {model.source} ({status}): check the name, and HF_ENDPOINT."


def _is_missing(error: HfHubHTTPError) -> bool:
    return error.response.headers.get("X-Error-Code") == "RepoNotFound"


def _conditions(page: str) -> str:
    if get_token():
        return f"accept its conditions at {page} with the account of HF_TOKEN"
    return f"accept its conditions at {page}, and set HF_TOKEN to a token of that account"


def _pause(response: httpx2.Response) -> str:
    limit, after = parse_ratelimit_headers(response.headers), response.headers.get("Retry-After")
    if after and after.isdigit():
        return f"in {after} s"
    return f"in {limit.reset_in_seconds} s" if limit else "in a while"


def _on_disk(error: OSError, model: HubModel) -> str:
    if error.errno in _NO_SPACE:
        return (
            f"The disk is full, so {model.source} is not whole: make room and try again (what "
            "came is kept), or set HF_HOME to a folder on another disk."
        )
    return (
        f"{model.source} cannot be kept ({error.strerror or error}): set HF_HOME to a folder "
        "that can be written."
    )

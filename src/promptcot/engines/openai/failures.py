"""What can go wrong with a request: a passing failure is worth sending again, anything else is for the user to mend."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2

from promptcot.errors import UsageError

EXCERPT = 300
"""Characters of a body that an error shows."""
BUSY = frozenset({408, 429})
PASSING = frozenset({409, 425, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529})

REMEDIES = {
    400: "the server does not understand the request: is the text longer than its context, or a setting one that it lacks?",
    401: "set the variable that `key_env` names to a valid API key",
    403: "the key has no right to this model: check it and the variable that `key_env` names",
    404: "check `urls` (with `/v1`) and `model`; the server lists its models at /models",
}


class Passing(Exception):
    """A failure that may be over when the request is sent again. `strike`: it speaks against the server."""

    strike = True


class Refused(Passing):
    """Nobody listens there: the work goes elsewhere, and it costs the request no try."""


class Broken(Passing):
    """The connection broke off."""


class Slow(Passing):
    """No answer in time: the server may have more to do than it can."""


class Busy(Passing):
    """The server asks for patience; `after` seconds of it, where it says how many. It costs the request no try."""

    strike = False

    def __init__(self, why: str, after: float | None = None) -> None:
        super().__init__(why)
        self.after = after


class Unusable(Passing):
    """An answer came, but an error of the server's or one that makes no sense. `strike`: the former."""

    def __init__(self, why: str, *, strike: bool = False) -> None:
        super().__init__(why)
        self.strike = strike


class Rejected(UsageError):
    """The server says that the request is wrong; sending it again would not help."""

    def __init__(self, status: int, what: str, *, where: str, remedy: str) -> None:
        super().__init__(what, where=where, remedy=remedy)
        self.status = status


class Secret:
    """An API key that shows itself to nobody but the request's header."""

    def __init__(self, value: str | None) -> None:
        self._value = value

    def __repr__(self) -> str:
        return "Secret(...)"

    @property
    def headers(self) -> dict[str, str]:
        """The header that carries it, none without a key."""
        return {"Authorization": f"Bearer {self._value}"} if self._value else {}

    def hidden(self, text: str) -> str:
        """The text without the key: servers like to repeat it in their refusals."""
        return text.replace(self._value, "***") if self._value else text


def content(response: httpx2.Response, secret: Secret) -> dict[str, Any]:
    """The JSON object of a good response. Raises a `Passing` failure, or `Rejected`."""
    url, status = str(response.request.url), response.status_code
    shown = excerpt(response.text, secret)
    after = retry_after(response.headers)
    if status in BUSY or (status in PASSING and after is not None):
        raise Busy(f"{url}: status {status}: {shown}", after)
    if status in PASSING:
        raise Unusable(f"{url}: status {status}: {shown}", strike=True)
    if not response.is_success:
        remedy = REMEDIES.get(status, "check `urls` and `model`")
        raise Rejected(status, f"the server refuses: status {status}: {shown}", where=url, remedy=remedy)
    try:
        value = json.loads(response.content)
    except ValueError:
        raise Unusable(f"{url}: not JSON: {shown}") from None
    if not isinstance(value, dict) or value.get("error"):
        raise Unusable(f"{url}: {shown}")
    return value


def excerpt(text: str, secret: Secret) -> str:
    """The start of a body on one line, without the key. The key goes before the cut, which could leave a part of it."""
    return " ".join(secret.hidden(text).split())[:EXCERPT]


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds that `Retry-After` asks for, as a number or a date; None where it says nothing legible."""
    text = headers.get("retry-after", "")
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None


def transport(error: httpx2.RequestError | TimeoutError, url: str) -> Passing:
    """The failure that an error of the connection stands for."""
    what = f"{url}: {type(error).__name__} {error}".rstrip()
    if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout):
        return Refused(what)
    if isinstance(error, httpx2.TimeoutException | TimeoutError):
        return Slow(what)
    return Broken(what)

"""Answers of PostHog over HTTP: what every API of it means by a status, a body and `Retry-After`.

Takes responses and errors of `requests`, returns values; nothing here sends, waits or decides.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec
import requests
from urllib3.exceptions import InvalidHeader
from urllib3.util import Retry

from target_posthog.errors import RunError

if TYPE_CHECKING:
    from target_posthog.mapping.language.functions import JSON

BILLING_LIMIT = frozenset(
    (
        "billing_limit_exceeded",
        "billing limit exceeded",
        "billing limit reached",
        "quota_limited",
        "quota_limit_exceeded",
    )
)
NO_CERTIFICATES = (
    "The certificates to trust can't be read: REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE in the environment names a file "
    "that isn't there; name the right one, or neither"
)
TRY_AGAIN = frozenset((HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS))
PLAIN_REASON = re.compile(r"[a-z][a-z0-9_ ]{0,60}")  # PostHog's own codes; anything longer may quote an event


class AnswerError(Exception):
    """An answer that acknowledges nothing: its status, PostHog's word for the reason, and when to try again."""

    def __init__(self, status: int, word: str = "", retry_after: float | None = None) -> None:
        super().__init__(f"HTTP {status}: {word}")
        self.status = status
        self.word = word
        self.retry_after = retry_after

    @classmethod
    def of(cls, response: requests.Response) -> AnswerError:
        """Return what a response that isn't 2xx says: `error` is PostHog's word for machines, `/batch/` has text."""
        word = decoded(response.content).get("error") or response.content[:200].decode("utf-8", "replace")
        return cls(response.status_code, plain_reason(word), retry_after_seconds(response))

    @property
    def is_billing_limit(self) -> bool:
        """Whether the project may send no more: 402, before June 2026 429, PostHog rust/capture v1/error.rs."""
        return self.status == HTTPStatus.PAYMENT_REQUIRED or self.word in BILLING_LIMIT


def is_busy(status: int) -> bool:
    """Say whether an answer of this status may be another one later: PostHog rust/capture, api.rs and v1/analytics."""
    return status in TRY_AGAIN or status >= HTTPStatus.INTERNAL_SERVER_ERROR


def retry_after_seconds(response: requests.Response) -> float | None:
    """Return the seconds that `Retry-After` asks for (a number or a date); None without one that can be read."""
    try:
        return Retry().parse_retry_after(value) if (value := response.headers.get("Retry-After")) else None
    except (InvalidHeader, ValueError, OverflowError):  # a date of the year 99999
        return None


def decoded(content: bytes) -> dict[str, JSON]:
    """Return the JSON object of an answer, an empty one if it is none."""
    try:
        answer = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def plain_reason(reason: object) -> str:
    """Return PostHog's reason if it is one of its codes; another text could quote the event."""
    text = str(reason or "").strip().lower()
    return text if PLAIN_REASON.fullmatch(text) else "no reason that can be shown"


def untrusted(error: OSError, host: str) -> RunError | None:
    """Return what to say of an error that is about certificates, which no waiting mends; None for any other."""
    if not isinstance(error, requests.RequestException):  # requests raises it before it connects
        return RunError(NO_CERTIFICATES)
    if isinstance(error, requests.exceptions.SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(error):
        return RunError(
            f"`host`: nobody whom this machine trusts vouches for the certificate of {host}; if a proxy or a company's "
            "own authority stands between, name its certificates in REQUESTS_CA_BUNDLE; nothing was sent there"
        )
    return None


def network_trouble(error: Exception) -> str:
    """Return what kind of trouble the network had, in words and without the address's parameters."""
    if isinstance(error, requests.exceptions.SSLError):
        return "no agreement on TLS, so something may stand between, such as a proxy"
    words = re.sub(r"(?<!^)(?=[A-Z])", " ", type(error).__name__)
    return words.lower()

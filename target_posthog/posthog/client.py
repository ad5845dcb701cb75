"""Client of PostHog's ingestion: delivers batches, and repeats them until PostHog has decided on every event.

Takes a batch of events, returns those that PostHog refused with the reasons. For events, a retry is decided in
`Client._wait` and nowhere else: the posthog library's own retries count attempts where a user thinks in minutes, and
sleep between them without an end that could be set.
"""

from __future__ import annotations

import logging
import threading
from http import HTTPStatus
from typing import TYPE_CHECKING, NoReturn

import requests
import stamina
from posthog.request import APIError, QuotaLimitError, determine_server_host, flags

from target_posthog.errors import BusyError, RunError
from target_posthog.posthog.answers import is_busy, network_trouble, plain_reason
from target_posthog.posthog.capture import CaptureBatch, CaptureV1

if TYPE_CHECKING:
    from collections.abc import Sequence

    from target_posthog.mapping.event import Event
    from target_posthog.posthog.capture import Verdicts

DEFAULT_HOST = "https://us.i.posthog.com"
TIMEOUT_SECONDS = 30.0  # PostHog's gateway gives up after that
LONGEST_WAIT_SECONDS = 30.0  # between two attempts, unless PostHog asks for more
LONGEST_RETRY_AFTER_SECONDS = 300.0  # PostHog asks for 60 (rust/capture v1, 429); more is an error of something between
# What an answer for a whole batch means: PostHog rust/capture, api.rs and v1/analytics.
BAD_BATCH = frozenset((HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE))
BAD_KEY = frozenset((HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN))
NO_SUCH_PATH = frozenset((HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED))

BILLING = (
    "PostHog takes no more events: the billing limit of the organisation is reached; raise it in PostHog's billing "
    "settings and run again, nothing is lost"
)
NO_CERTIFICATES = (
    "The certificates to trust can't be read: REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE in the environment names a file "
    "that isn't there; name the right one, or neither"
)

logger = logging.getLogger(__name__)


class _BatchError(Exception):
    """One or more events made PostHog refuse the whole batch."""


class Client:
    """Delivers batches; safe to use from several threads.

    `protocol` is `v1` (a verdict per event), `batch`, or `auto`: V1 unless the server doesn't have it. Waiting for a
    PostHog that is busy ends after `max_retry_seconds`.
    """

    def __init__(self, api_key: str, host: str, *, protocol: str = "auto", max_retry_seconds: float = 900) -> None:
        self._api_key = api_key.strip()
        self.host = determine_server_host(host if "://" in host else f"https://{host}").rstrip("/")
        self._v1 = CaptureV1(self._api_key, self.host, timeout_seconds=TIMEOUT_SECONDS)
        self._batch = CaptureBatch(self._api_key, self.host, timeout_seconds=TIMEOUT_SECONDS)
        self._protocol = protocol
        self._max_retry_seconds = max_retry_seconds
        self._lock = threading.Lock()
        self.requests = 0
        self.retries = 0
        # The library logs bodies: requests at DEBUG, answers with errors. All it has to say reaches us as exceptions.
        logging.getLogger("posthog").disabled = True
        # `_wait` says it in a sentence; stamina's own hook may print to standard output, which belongs to STATE.
        stamina.instrumentation.set_on_retry_hooks([])

    def check_key(self) -> None:
        """Ask PostHog whether it knows the key, for an unknown one is taken silently by `/batch/`.

        Raises `RunError` for a wrong key or a host that can't be reached or isn't a PostHog.
        """
        self._count()
        try:
            flags(self._api_key, self.host, timeout=TIMEOUT_SECONDS, max_retries=2, distinct_id="target-posthog")
        except QuotaLimitError:
            return  # the key is right, the project has used up its feature flags
        except APIError as error:
            self._judge_key(error.status)
        except requests.exceptions.InvalidJSONError:
            raise RunError(
                f"`host`: {self.host} answers, but not as a PostHog does; use the address in the project's settings"
            ) from None
        except (requests.RequestException, ValueError) as error:
            raise RunError(
                f"`host`: {self.host} can't be reached ({network_trouble(error)}); check it, and this machine's network"
            ) from None
        except OSError:
            raise RunError(NO_CERTIFICATES) from None

    def _judge_key(self, status: int | str) -> None:
        if status in BAD_KEY:
            raise RunError(
                f"`api_key`: PostHog at {self.host} doesn't know it; use the project API key (it starts with phc_) "
                "from the project's settings, and the `host` of the same region"
            )
        logger.info("The key can't be checked beforehand: %s answers /flags with %s", self.host, status)

    def send(self, events: Sequence[Event], *, historical: bool) -> dict[str, str]:
        """Deliver events; return the uuids that PostHog refused, each with the reason. All others are acknowledged.

        No two events may have the same uuid. Raises `RunError`, or `BusyError` after `max_retry_seconds`.
        """
        pending = {event["uuid"]: event for event in events}
        refused: dict[str, str] = {}
        try:
            self._send_until_taken(pending, refused, historical=historical)
        except _BatchError as error:
            rest = list(pending.values())
            if len(rest) == 1:
                return {**refused, rest[0]["uuid"]: str(error)}
            middle = len(rest) // 2
            for half in (rest[:middle], rest[middle:]):
                refused |= self.send(half, historical=historical)
        except BusyError as error:
            raise BusyError(
                f"PostHog at {self.host} has taken no events for {self._max_retry_seconds:g} seconds ({error}); run "
                "again when it does, and the run goes on from its last STATE"
            ) from None
        return refused

    def _send_until_taken(self, pending: dict[str, Event], refused: dict[str, str], *, historical: bool) -> None:
        for attempt in stamina.retry_context(
            on=self._wait,
            attempts=None if self._max_retry_seconds else 1,
            timeout=self._max_retry_seconds or None,
            wait_initial=0.5,
            wait_max=LONGEST_WAIT_SECONDS,
        ):
            with attempt:
                self._attempt(attempt.num, pending, refused, historical=historical)

    def _wait(self, error: Exception) -> bool | float:
        """Decide on a retry: False for none, True for one after the usual backoff, or the seconds PostHog wants."""
        if not isinstance(error, BusyError):
            return False
        self._count(retry=True)
        logger.warning("PostHog can't take events now (%s); waiting, then trying again", error)
        if error.retry_after is None:
            return True
        return min(error.retry_after, LONGEST_RETRY_AFTER_SECONDS, self._max_retry_seconds)

    def _attempt(self, number: int, pending: dict[str, Event], refused: dict[str, str], *, historical: bool) -> None:
        """Send what is pending once; move what PostHog refused, keep what it wants again, forget what it took."""
        try:
            verdicts = self._verdicts(list(pending.values()), number, historical=historical)
        except APIError as error:
            self._judge(error)
        except requests.RequestException as error:
            raise BusyError(network_trouble(error)) from None
        except OSError:
            raise RunError(NO_CERTIFICATES) from None
        refused |= {uuid: plain_reason(details) for uuid, details in verdicts.refused.items()}
        again = {uuid: pending[uuid] for uuid in verdicts.again}
        pending.clear()
        pending.update(again)
        if again:
            raise BusyError(f"it wants {len(again)} of the events again", verdicts.retry_after)

    def _verdicts(self, events: list[Event], number: int, *, historical: bool) -> Verdicts:
        """Send events by the protocol that the server speaks."""
        self._count()
        protocol = self._protocol  # as it was when this request left; other threads may find out meanwhile
        if protocol == "batch":
            return self._batch.post(events, historical=historical, attempt=number)
        try:
            verdicts = self._v1.post(events, historical=historical, attempt=number)
        except APIError as error:
            # Servers before June 2026 have no such path, or have it unconfigured: PostHog/posthog#62471.
            unconfigured = error.status == HTTPStatus.SERVICE_UNAVAILABLE and "not configured" in error.message
            if protocol != "auto" or not (error.status in NO_SUCH_PATH or unconfigured):
                raise
            logger.info("%s doesn't have PostHog's capture V1; using /batch/", self.host)
            self._protocol = "batch"
            return self._verdicts(events, number, historical=historical)
        if protocol == "auto":
            self._protocol = "v1"
        return verdicts

    def _judge(self, error: APIError) -> NoReturn:
        """Raise what an answer for the whole batch means."""
        status = error.status if isinstance(error.status, int) else 0
        if status in BAD_BATCH:
            raise _BatchError(f"HTTP {status}: {plain_reason(error.message)}")
        if status in BAD_KEY:
            self._judge_key(status)
        if status == HTTPStatus.PAYMENT_REQUIRED:
            raise RunError(BILLING)
        if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            raise BusyError("it answered without a verdict", error.retry_after)
        if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
            raise RunError(f"`host`: {self.host} sends events elsewhere; set it to the address where they end")
        if is_busy(status):
            raise BusyError(f"HTTP {status}", error.retry_after)
        raise RunError(
            f"`host`: {self.host} takes no events (HTTP {status}: {plain_reason(error.message)}); is it a PostHog's "
            "address?"
        )

    def _count(self, *, retry: bool = False) -> None:
        with self._lock:
            self.requests += not retry
            self.retries += retry

"""Client of PostHog's ingestion: delivers batches, and repeats them until PostHog has decided on every event.

Takes a batch of events, returns those that PostHog refused with the reasons. For events, a retry is decided in
`Client._wait` and nowhere else: the posthog library's own retries count attempts where a user thinks in minutes, and
sleep between them without an end that could be set.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import stamina

from target_posthog.errors import BusyError, RunError
from target_posthog.mapping.event import FUTURE_AFTER, changes_person, only_sets_once, touched_ids
from target_posthog.mapping.language.functions import as_timestamp
from target_posthog.posthog.address import ingestion_address, is_cloud
from target_posthog.posthog.answers import AnswerError, is_busy, network_trouble, plain_reason, untrusted
from target_posthog.posthog.capture import TAKEN, CaptureBatch, CaptureV1, Envelope, Verdicts, check_by_flags
from target_posthog.posthog.outage import Outage

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from target_posthog.mapping.event import Event

DEFAULT_HOST = "https://us.i.posthog.com"
TIMEOUT_SECONDS = 30.0  # for a request with its answer; PostHog's gateway gives up after that
SHORTEST_TIMEOUT_SECONDS = 1.0  # for what is tried when `max_retry_seconds` are nearly over
FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 30.0  # between two attempts, unless PostHog asks for more
LONGEST_RETRY_AFTER_SECONDS = 300.0  # PostHog asks for 60 (rust/capture v1, 429); more is an error of something between
# A server whose V1 isn't configured answers as one that is down (rust/capture v1/error.rs). So long as V1 has never
# worked in a run, the second such answer lets `/batch/` be tried; the uuids are the same. PostHog's cloud has V1.
ATTEMPTS_AT_V1 = 2
# What an answer for a whole batch means: PostHog rust/capture, api.rs and v1/analytics.
BAD_BATCH = frozenset((HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE))
NO_SUCH_PATH = frozenset((HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED))
ABOUT_THE_KEY = frozenset(
    ("invalid_api_token", "missing_authorization", "authentication_error", "authentication_failed")
)
IN_THE_FUTURE = (
    f"its time is more than {FUTURE_AFTER // timedelta(hours=1)} hours in the future, which `/batch/` doesn't keep"
)

BILLING = (
    "PostHog takes no more events: the billing limit of the organisation is reached; raise it in PostHog's billing "
    "settings and run again, nothing is lost"
)

HIDES_DROPS = (
    "Events go to %s by /batch/, which acknowledges also what PostHog drops, as over a billing limit: STATE and "
    "receipts then say that it has them; `target-posthog reconcile` shows what is missing"
)

logger = logging.getLogger(__name__)


class _BatchError(Exception):
    """One or more events made PostHog refuse the whole batch."""


class Sent(NamedTuple):
    """What became of events: those refused, by uuid, with the reason; all others are acknowledged.

    Of those in `person_skipped` PostHog keeps the event, but has left its person as it was.
    """

    refused: dict[str, str]
    person_skipped: frozenset[str] = frozenset()


class UndecidedError(RunError):
    """Ends a delivery before PostHog has decided on all of it: `sent` is for all events that aren't `undecided`."""

    def __init__(self, sentence: str, sent: Sent, undecided: frozenset[str]) -> None:
        super().__init__(sentence)
        self.sent = sent
        self.undecided = undecided


@dataclass
class _UnderWay:
    """A batch on its way: what PostHog has still to decide on, and what it has said of the rest."""

    pending: dict[str, Event]
    historical: bool
    ends_at: float
    refused: dict[str, str] = field(default_factory=dict)
    person_skipped: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.envelope = Envelope(self.historical)
        self.attempt = 0

    @property
    def sent(self) -> Sent:
        """What PostHog has said of all that isn't pending."""
        return Sent(self.refused, frozenset(self.person_skipped))


class Client:
    """Delivers batches; safe to use from several threads.

    `protocol` is `v1` (a verdict per event), `batch`, or `auto`: V1 unless the server doesn't have it. Delivering a
    batch ends after `max_retry_seconds`, whatever it is that takes so long. Raises `RunError` for a bad `host`.
    """

    def __init__(  # noqa: PLR0913  # settings of the target, and the seams of its tests
        self,
        api_key: str,
        host: str,
        *,
        protocol: str = "auto",
        max_retry_seconds: float = 900,
        timeout_seconds: float = TIMEOUT_SECONDS,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api_key = api_key.strip()
        self.host = ingestion_address(host)
        self._v1 = CaptureV1(self._api_key, self.host)
        self._batch = CaptureBatch(self._api_key, self.host)
        self._protocol = protocol
        self._max_retry_seconds = max_retry_seconds
        self._timeout_seconds = timeout_seconds
        self._now = now
        self._outage = Outage(now)
        self._unavailable = 0
        self._has_used_batch = False
        self._lock = threading.Lock()
        self.requests = 0
        self.retries = 0

    def check_key(self) -> None:
        """Ask PostHog whether it knows the key, for an unknown one is taken silently by `/batch/`.

        Raises `RunError` for a wrong key or a host that can't be reached or isn't a PostHog.
        """
        self._count()
        try:
            check_by_flags(self._api_key, self.host, timeout_seconds=self._timeout_seconds)
        except AnswerError as error:
            self._judge_key(error)
        except ValueError:
            raise RunError(
                f"`host`: {self.host} answers, but not as a PostHog does; use the address in the project's settings"
            ) from None
        except OSError as error:  # requests' are among them
            raise untrusted(error, self.host) or RunError(
                f"`host`: {self.host} can't be reached ({network_trouble(error)}); check it, and this machine's network"
            ) from None

    def _judge_key(self, error: AnswerError) -> None:
        if error.status == HTTPStatus.UNAUTHORIZED or (
            error.status == HTTPStatus.FORBIDDEN and error.word in ABOUT_THE_KEY
        ):
            raise RunError(
                f"`api_key`: PostHog at {self.host} doesn't know it; use the project API key (it starts with phc_) "
                "from the project's settings (in .env POSTHOG_API_KEY), and the `host` of its region (POSTHOG_HOST)"
            )
        if error.status == HTTPStatus.FORBIDDEN:
            raise RunError(
                f"`host`: {self.host} forbids this machine to send (HTTP 403: {error.word}), which PostHog never does; "
                "look for a firewall or proxy before it that has to let this machine through"
            )
        if HTTPStatus.MULTIPLE_CHOICES <= error.status < HTTPStatus.BAD_REQUEST:
            raise RunError(f"`host`: {self.host} sends requests elsewhere; set it to the address where they end")
        logger.warning(
            "`host`: %s answers the question about the key with HTTP %s, so it can't be checked beforehand; "
            "where that goes on, it may be no PostHog's address",
            *(self.host, error.status),
        )

    def send(self, events: Sequence[Event], *, historical: bool) -> Sent:
        """Deliver events and return what PostHog said of them.

        No two events may have the same uuid. Raises `UndecidedError`, as late as after `max_retry_seconds`.
        """
        under_way = _UnderWay(
            {event["uuid"]: event for event in events}, historical, self._now() + self._max_retry_seconds
        )
        try:
            self._send(under_way)
        except RunError as error:
            sentence, left = str(error), len(under_way.pending)
            if isinstance(error, BusyError):
                taken = "no events for" if left == len(events) else f"all but {left:,} of {len(events):,} events in"
                sentence = (
                    f"PostHog at {self.host} has taken {taken} {self._max_retry_seconds:g} seconds ({error}); run "
                    "again when it does, and the run goes on from its last STATE"
                )
            raise UndecidedError(sentence, under_way.sent, frozenset(under_way.pending)) from None
        return under_way.sent

    def _send(self, under_way: _UnderWay) -> None:
        """Send until nothing is pending, in halves where PostHog refuses the whole for one event."""
        pending = under_way.pending
        try:
            self._send_until_taken(under_way)
        except _BatchError as error:
            rest = list(pending.items())
            if len(rest) == 1:
                under_way.refused |= dict.fromkeys(pending, str(error))
                pending.clear()
                return
            middle = len(rest) // 2
            for half in (dict(rest[:middle]), dict(rest[middle:])):
                uuids = set(half)
                try:
                    self._send(replace(under_way, pending=half))
                finally:
                    for uuid in uuids - half.keys():  # also of a half that failed
                        del pending[uuid]

    def _send_until_taken(self, under_way: _UnderWay) -> None:
        attempts = None if self._max_retry_seconds else 1
        for attempt in stamina.retry_context(on=partial(self._wait, under_way), attempts=attempts, timeout=None):
            with attempt:
                under_way.attempt = attempt.num
                self._attempt(under_way)
        self._outage.is_over()

    def _wait(self, under_way: _UnderWay, error: Exception) -> bool | float:
        """Decide on a retry: False for none, else after how many seconds.

        PostHog's `Retry-After` is a floor, on top of which SDKs put their own backoff with jitter (rust/capture
        v1/analytics/constants.rs); so the larger of both counts.
        """
        if not isinstance(error, BusyError):
            return False
        self._outage.goes_on(error)
        left = under_way.ends_at - self._now()
        if left <= 0:
            return False
        self._count(retry=True)
        backoff = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0 ** min(under_way.attempt - 1, 10))
        jittered = backoff * random.uniform(1.0, 1.5)  # noqa: S311  # spreads senders, hides nothing
        return min(max(jittered, min(error.retry_after or 0.0, LONGEST_RETRY_AFTER_SECONDS)), left)

    def _attempt(self, under_way: _UnderWay) -> None:
        """Send what is pending once; note what PostHog refused, keep what it wants again, forget what it took."""
        pending = under_way.pending
        try:
            verdicts = self._verdicts(under_way)
        except AnswerError as error:
            self._judge(error)
        except OSError as error:  # requests' are among them
            raise untrusted(error, self.host) or BusyError(network_trouble(error)) from None
        refused = {uuid: plain_reason(details) for uuid, details in verdicts.refused.items()}
        limited = {uuid for uuid, reason in refused.items() if AnswerError(HTTPStatus.OK, reason).is_billing_limit}
        under_way.refused |= {uuid: reason for uuid, reason in refused.items() if uuid not in limited}
        again = with_what_follows(pending.values(), {*verdicts.again, *verdicts.unknown, *limited})
        under_way.person_skipped |= {*verdicts.person_skipped} - again.keys()
        pending.clear()
        pending.update(again)
        if verdicts.unknown:
            word = next(iter(verdicts.unknown.values()))
            raise RunError(
                f"`protocol`: PostHog at {self.host} says `{word}` of {len(verdicts.unknown)} events, a word that "
                "this version doesn't know, so what became of them isn't known; take a newer version"
            )
        if limited:
            raise RunError(BILLING)
        if again:
            raise BusyError(f"it wants {len(again)} of the events again", verdicts.retry_after)

    def _verdicts(self, under_way: _UnderWay) -> Verdicts:
        """Send events by the protocol that the server speaks."""
        protocol = self._protocol  # as it was when this request left; other threads may find out meanwhile
        if protocol == "batch":
            return self._by_batch(under_way)
        self._count()
        try:
            verdicts = self._v1.post(
                list(under_way.pending.values()),
                under_way.envelope,
                attempt=under_way.attempt,
                timeout_seconds=self._timeout(under_way),
            )
        except AnswerError as error:
            if protocol != "auto" or not self._may_lack_v1(error.status):
                raise
            return self._by_batch_instead(under_way, error)
        self._found_out("v1")
        return verdicts

    def _may_lack_v1(self, status: int) -> bool:
        """Say whether a server that answers so may have no V1: before June 2026, or unconfigured (PostHog #62471)."""
        if status == HTTPStatus.SERVICE_UNAVAILABLE and not is_cloud(self.host):
            with self._lock:
                self._unavailable += 1
                return self._unavailable >= ATTEMPTS_AT_V1
        return status in NO_SUCH_PATH

    def _by_batch_instead(self, under_way: _UnderWay, error: AnswerError) -> Verdicts:
        """Send by `/batch/`, and go on so if PostHog takes it; raises V1's own error where there is no `/batch/`."""
        try:
            verdicts = self._by_batch(under_way)
        except AnswerError as other:
            raise (error if other.status in NO_SUCH_PATH and error.status not in NO_SUCH_PATH else other) from None
        if self._found_out("batch"):
            logger.info("%s doesn't have PostHog's capture V1; using /batch/", self.host)
        return verdicts

    def _found_out(self, protocol: str) -> bool:
        with self._lock:
            is_news = self._protocol == "auto"
            if is_news:
                self._protocol = protocol
            return is_news

    def _by_batch(self, under_way: _UnderWay) -> Verdicts:
        latest = as_timestamp(datetime.now(timezone.utc) + FUTURE_AFTER)
        events = [event for event in under_way.pending.values() if event["timestamp"] <= latest]
        verdicts = TAKEN
        if events:
            self._count()
            timeout = self._timeout(under_way)
            verdicts = self._batch.post(events, under_way.envelope, timeout_seconds=timeout)
            self._say_what_batch_hides()
        if len(events) < len(under_way.pending):
            later = {uuid: IN_THE_FUTURE for uuid, event in under_way.pending.items() if event["timestamp"] > latest}
            under_way.refused |= later
            for uuid in later:
                del under_way.pending[uuid]
        return verdicts

    def _say_what_batch_hides(self) -> None:
        with self._lock:
            is_said, self._has_used_batch = self._has_used_batch, True
        if not is_said:
            logger.warning(HIDES_DROPS, self.host)

    def _timeout(self, under_way: _UnderWay) -> float:
        """Return the seconds that a request may take: its own limit, or what is left of `max_retry_seconds`."""
        if not self._max_retry_seconds:
            return self._timeout_seconds
        left = max(under_way.ends_at - self._now(), SHORTEST_TIMEOUT_SECONDS)
        return min(self._timeout_seconds, left)

    def _judge(self, error: AnswerError) -> NoReturn:
        """Raise what an answer for the whole batch means."""
        status = error.status
        if error.is_billing_limit:
            raise RunError(BILLING)
        if status in BAD_BATCH:
            raise _BatchError(f"HTTP {status}: {error.word}")
        if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN} or 300 <= status < 400:  # noqa: PLR2004  # redirections
            self._judge_key(error)
        if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            raise BusyError(f"it answers HTTP {status} without acknowledging anything", error.retry_after)
        if is_busy(status):
            raise BusyError(f"HTTP {status}", error.retry_after)
        raise RunError(f"`host`: {self.host} takes no events (HTTP {status}: {error.word}); is it a PostHog's address?")

    def _count(self, *, retry: bool = False) -> None:
        with self._lock:
            if retry:
                self.retries += 1
            else:
                self.requests += 1


def with_what_follows(events: Collection[Event], again: set[str]) -> dict[str, Event]:
    """Return the events to send again, by uuid and in order: those named, and the person changes that came after.

    PostHog judges each event by itself, so a later change of a person may be in while an earlier one isn't. Sent alone
    the earlier one would then come last, and win. Facts have no order, and aren't sent twice for it.
    """
    found: dict[str, Event] = {}
    late_ids: set[str] = set()
    for event in events:
        ids = touched_ids(event) if changes_person(event) else []
        if event["uuid"] in again or not (late_ids.isdisjoint(ids) or only_sets_once(event)):
            found[event["uuid"]] = event
            late_ids.update(ids)
    return found

"""Everything that can go wrong, in: a fault and the world it strikes; out: a queued reply, a change, a signal.

Knows the sandbox's controls and the processes' ids, but neither when a fault's moment is nor what must hold after it.
"""

from __future__ import annotations

import contextlib
import json
import resource
import signal
import time
from dataclasses import dataclass, replace
from enum import Enum
from random import Random
from typing import TYPE_CHECKING, Any, Literal

from sandbox.controls import Reply
from sandbox.shop.answers import THROTTLED
from sandbox.shop.bulk import Outcome
from sandbox.shop.tokens import APPLICATION_CANNOT_BE_FOUND
from tests.attacks.hostile_answers import HOSTILE
from tests.faults import changes

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.world import World

GRAPHQL = "graphql.json"
PAGE = "<!DOCTYPE html><html><body><h1>Something went wrong</h1></body></html>"
PAUSE_SHARE = 5  # of a fault's seconds, so up to 1.5 s: enough to fill a pipe of 64 KiB
DOWN_SHARE = 8  # of a fault's seconds, so up to 2.4 s
A_MINUTE_SECONDS = 60.0
CLOCK_JUMPS = ("-30d", "-5h", "-70s", "+70s", "+5h", "+400d")
RESTORED_POINTS_A_SECOND = 5_000.0
DeadLetters = Literal["", "file", "full disk"]  # what the setting `dead_letter_path` is
EVENTS = ("$identify", "Customer Created", "Order Completed", "Order Paid", "Order Fulfilled")


class Side(str, Enum):
    """Where a fault's moment is counted."""

    SHOP = "the shop"
    POSTHOG = "PostHog"


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong: so many times, when a side has seen so many requests of the run, and seconds later.

    `choice` decides what the kind leaves open (a status, an order), `seconds` also how long what lasts does last.
    """

    kind: str
    side: Side
    after_requests: int
    seconds: float
    times: int
    choice: int

    def __str__(self) -> str:
        many = f" x{self.times}" if self.times > 1 else ""
        return f"{self.kind}{many} after {self.after_requests} requests to {self.side.value}"


@dataclass(frozen=True)
class Kind:
    """A kind of fault: `strike` makes it happen, at most `most` times.

    `side` is where its moment is counted (None: either), `pipe` (`commands`, of these the `frequent` ones, or
    `meltano`) and `method` (`bulk`) where alone it can be, `dead_letters` the setting that it is about, `changes` says
    that it changes the shop, `final` that nothing else can strike a run after it, `long` that it takes too long to be
    joined with others.
    """

    strike: Callable[[World, Fault], None]
    side: Side | None = None
    most: int = 1
    pipe: str = ""
    method: str = ""
    dead_letters: DeadLetters = ""
    changes: bool = False
    final: bool = False
    long: bool = False

    @property
    def about(self) -> Literal["process", "change", "answer"]:
        """What is struck: a process, the shop's data, or what one of the sides answers."""
        return "process" if self.side is None else "change" if self.changes else "answer"


def answers(side: Side, reply: Callable[[Random], dict[str, Any]], most: int = 3, path: str = "/") -> Kind:
    """Return the kind in which a side answers the coming requests otherwise than it should."""

    def strike(world: World, fault: Fault) -> None:
        random = Random(fault.choice)
        replies = [Reply(path=path, **reply(random)) for _ in range(fault.times)]
        world.controls(side).reply_next(*replies)

    return Kind(strike, side, most)


def throttled(random: Random) -> dict[str, Any]:
    """Return Shopify's answer when the bucket of points is empty, for some hundredths of a second."""
    status = {
        "maximumAvailable": 2_000.0,
        "currentlyAvailable": random.randint(0, 300),
        "restoreRate": RESTORED_POINTS_A_SECOND,
    }
    cost = {"requestedQueryCost": 900, "actualQueryCost": None, "throttleStatus": status}
    return {"status": 200, "body": json.dumps({"errors": [THROTTLED], "extensions": {"cost": cost}})}


def troubled(*statuses: int, retry_after: str | None = None, acts: bool = False) -> Callable[[Random], dict[str, Any]]:
    """Return answers of one of these statuses, as JSON, with `Retry-After` if it is given."""

    def reply(random: Random) -> dict[str, Any]:
        headers = {"Content-Type": "application/json"} | ({"Retry-After": retry_after} if retry_after else {})
        return {"status": random.choice(statuses), "body": '{"error": "busy"}', "headers": headers, "acts": acts}

    return reply


def page(*statuses: int) -> Callable[[Random], dict[str, Any]]:
    """Return answers of something between: an HTML page with one of these statuses."""
    return lambda random: {
        "status": random.choice(statuses),
        "body": PAGE,
        "headers": {"Content-Type": "text/html"},
        "acts": random.random() < 0.5,
    }


def signals(sent: signal.Signals, *names: str, pipe: str = "") -> Kind:
    """Return the kind in which processes are sent a signal at the same moment."""

    def strike(world: World, _fault: Fault) -> None:
        for pid in filter(None, [world.pid(name) for name in names]):
            world.signal(pid, sent)

    return Kind(strike, pipe=pipe)


def pauses(name: str, *, then: signal.Signals | None = None) -> Kind:
    """Return the kind in which a process stands still, so that the pipe runs full or dry; `then` goes to the tap."""

    def strike(world: World, fault: Fault) -> None:
        pid = world.pid(name)
        if pid is None:
            return
        world.signal(pid, signal.SIGSTOP)
        time.sleep(fault.seconds * PAUSE_SHARE)
        tap = world.pid("tap") if then else None
        if then and tap:
            world.signal(tap, then)
            time.sleep(fault.seconds)
        world.signal(pid, signal.SIGCONT)

    return Kind(strike)


def verdicts(*verdict: str, most: int = 3, dead_letters: DeadLetters = "") -> Kind:
    """Return the kind in which PostHog judges the coming events of a name otherwise."""

    def strike(world: World, fault: Fault) -> None:
        name = Random(fault.choice).choice(EVENTS)
        world.posthog.verdicts.setdefault(name, []).extend([*verdict] * fault.times)

    return Kind(strike, Side.POSTHOG, most, dead_letters=dead_letters)


def operations(outcome: Callable[[Random], Outcome], most: int = 2) -> Kind:
    """Return the kind in which the coming bulk operations end otherwise."""

    def strike(world: World, fault: Fault) -> None:
        random = Random(fault.choice)
        world.shop.bulk.next(*(outcome(random) for _ in range(fault.times)))

    return Kind(strike, Side.SHOP, most, method="bulk")


def downloads(reply: Callable[[Random], dict[str, Any]], most: int = 2) -> Kind:
    """Return the kind in which the coming downloads of a bulk operation's result go otherwise."""
    return replace(answers(Side.SHOP, reply, most, path="/bulk/"), method="bulk")


def changed(change: Callable[[World, Random], None]) -> Kind:
    """Return the kind in which the shop changes while it is read."""
    return Kind(lambda world, fault: change(world, Random(fault.choice)), Side.SHOP, changes=True)


def _break(world: World, fault: Fault) -> None:
    field = Random(fault.choice).choice(("Order.customer", "Order.refunds", "Customer.defaultAddress"))
    world.shop.break_field(field, fault.times)


def _empty(world: World, fault: Fault) -> None:
    """Leave the shop a bucket that holds one page and is full again within a second."""
    world.shop.bucket.maximum_available, world.shop.bucket.restore_rate = 1_000.0, 1_000.0 + fault.choice % 3_000


def _revoke(world: World, _fault: Fault) -> None:
    """Take the app its tokens for the rest of the run, as a merchant does who uninstalls it."""
    world.shop.tokens.permanent = "shpat_another"
    world.shop.tokens.revoke()
    world.shop.tokens.refuse(APPLICATION_CANNOT_BE_FOUND)


def jump(world: World, fault: Fault) -> None:
    """Put the clock of the machine on which tap and target run."""
    world.clock.write_text(Random(fault.choice).choice(CLOCK_JUMPS))


def without_end(random: Random) -> dict[str, Any]:
    """Return an answer whose body goes on and on, plain or packed."""
    body = random.choice(['{"data": {"page": {"nodes": [' + '{"id": "x"},' * 5_000, " " * 65_536, "[" * 65_536])
    return {"status": 200, "body": body, "endless": True}


def _turn_hostile(world: World, fault: Fault) -> None:
    """Let the shop's coming answers be what no shop's are; what they lack can be seen, so nothing may be lost by it."""
    random, left = Random(fault.choice), [fault.times]

    def twist(body: dict[str, Any]) -> Any:
        if not left[0]:
            return body
        left[0] -= 1
        return random.choice(HOSTILE)(body)

    world.shop.twist = twist


FULL_DISKS = {"tap's disk full": "tap", "target's temporary files full": "target"}


def _fill_disk_of(name: str) -> Callable[[World, Fault], None]:
    """Let a process's files have no more bytes than they have, as on a full disk; its log is a file, too."""

    def strike(world: World, fault: Fault) -> None:
        pid = world.pid(name)
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (fault.choice % 60_000, resource.RLIM_INFINITY))

    return strike


def _ends_badly(random: Random) -> Outcome:
    status, code = random.choice(
        (("FAILED", "TIMEOUT"), ("FAILED", "INTERNAL_SERVER_ERROR"), ("CANCELED", None), ("EXPIRED", None))
    )
    return Outcome(status, code, rows=random.randint(0, 30))


def _without_v1(how: str) -> Callable[[World, Fault], None]:
    """Let PostHog have no V1 for some seconds."""

    def strike(world: World, fault: Fault) -> None:
        world.posthog.v1 = how  # type: ignore[assignment]  # one of its two words
        time.sleep(fault.seconds * DOWN_SHARE)
        world.posthog.v1 = "on"

    return strike


KINDS: dict[str, Kind] = {
    "Shopify throttles": answers(Side.SHOP, throttled, most=4, path=GRAPHQL),
    "Shopify's bucket is small": Kind(_empty, Side.SHOP),
    "Shopify 429 with Retry-After": answers(Side.SHOP, troubled(429, retry_after="0.2"), most=4),
    "Shopify 429": answers(Side.SHOP, troubled(429), most=2),
    "Shopify 5xx": answers(Side.SHOP, troubled(500, 502, 503, 504), most=2),
    "Shopify HTML with 200": answers(Side.SHOP, page(200), most=2),
    "Shopify HTML with 502": answers(Side.SHOP, page(502), most=2),
    "Shopify slow": answers(Side.SHOP, lambda random: {"delay_seconds": random.uniform(0.2, 1.5)}),
    "Shopify cut before": answers(Side.SHOP, lambda _: {"status": 204, "cut": True}, most=2),
    "Shopify cut after": answers(Side.SHOP, lambda _: {"cut": True}, most=2),
    "Shopify truncated": answers(Side.SHOP, lambda random: {"truncate_bytes": random.randint(0, 4_000)}, most=2),
    "Shopify error beside data": Kind(_break, Side.SHOP, 2),
    "Shopify token ends": Kind(lambda world, _: world.shop.tokens.revoke(), Side.SHOP, pipe="commands"),
    "Shopify token revoked": Kind(_revoke, Side.SHOP, final=True),
    "shop frozen": Kind(lambda world, _: world.shop.close(), Side.SHOP, final=True),
    "Shopify down": Kind(lambda world, fault: world.down(Side.SHOP, fault.seconds * DOWN_SHARE), Side.SHOP),
    "bulk operation ends badly": operations(_ends_badly, most=3),
    "bulk operation takes its time": operations(lambda random: Outcome(seconds=random.uniform(0.5, 2.0))),
    "bulk operation hangs": replace(operations(lambda _: Outcome(stalls=True), most=1), pipe="frequent"),
    "bulk slots taken": Kind(lambda world, _: world.shop.bulk.reach_limit(), Side.SHOP, method="bulk"),
    "Shopify drips": replace(
        answers(Side.SHOP, lambda random: {"drip_seconds": random.uniform(0.01, 0.2)}, most=1), pipe="frequent"
    ),
    "Shopify without end": answers(Side.SHOP, without_end, most=2),
    "Shopify hostile": Kind(_turn_hostile, Side.SHOP),
    "bulk download drips": replace(downloads(lambda _: {"drip_seconds": 0.05}, most=1), pipe="frequent"),
    "bulk download from the beginning again": downloads(
        lambda random: {"ignores": ["Range"], "truncate_bytes": random.randint(0, 60_000)}, most=4
    ),
    "bulk download packed": downloads(lambda _: {"status": 200, "headers": {"Content-Encoding": "gzip"}}),
    "tap's disk full": Kind(_fill_disk_of(FULL_DISKS["tap's disk full"]), Side.SHOP, method="bulk"),
    "target's temporary files full": Kind(_fill_disk_of(FULL_DISKS["target's temporary files full"]), Side.POSTHOG),
    "bulk download truncated": downloads(lambda random: {"truncate_bytes": random.randint(0, 60_000)}),
    "bulk download cut": downloads(lambda _: {"cut": True}),
    "bulk download 5xx": downloads(troubled(500, 503)),
    "bulk link expired": downloads(lambda _: {"status": 400, "body": "<Error><Code>ExpiredToken</Code></Error>"}),
    "order tagged": changed(changes.tag_order),
    "order refunded": changed(changes.refund_order),
    "order cancelled": changed(changes.cancel_order),
    "order added": changed(changes.add_order),
    "customer added": changed(changes.add_customer),
    "customer renamed": changed(changes.rename_customer),
    "customer's e-mail changed": changed(changes.change_email),
    "order deleted": changed(changes.delete_order),
    "PostHog 429": answers(Side.POSTHOG, troubled(429), most=2),
    "PostHog 429 with Retry-After": answers(Side.POSTHOG, troubled(429, retry_after="1"), most=2),
    "PostHog 503": answers(Side.POSTHOG, troubled(503), most=2),
    "PostHog 500 after the work": answers(Side.POSTHOG, troubled(500, acts=True), most=2),
    "PostHog cut before": answers(Side.POSTHOG, lambda _: {"status": 204, "cut": True}, most=2),
    "PostHog cut after": answers(Side.POSTHOG, lambda _: {"cut": True}, most=2),
    "PostHog truncated": answers(Side.POSTHOG, lambda random: {"truncate_bytes": random.randint(0, 60)}, most=2),
    "PostHog HTML with 200": answers(Side.POSTHOG, page(200), most=2),
    "PostHog empty JSON": answers(Side.POSTHOG, lambda _: {"status": 200, "body": "{}"}, most=2),
    "PostHog wants events again": verdicts("retry", "ok"),
    "PostHog slow": answers(Side.POSTHOG, lambda random: {"delay_seconds": random.uniform(0.2, 1.5)}),
    "PostHog without V1": Kind(_without_v1("missing"), Side.POSTHOG),
    "PostHog with V1 unconfigured": Kind(_without_v1("unconfigured"), Side.POSTHOG),
    "PostHog down": Kind(lambda world, fault: world.down(Side.POSTHOG, fault.seconds * DOWN_SHARE), Side.POSTHOG),
    "PostHog down for a minute": Kind(
        lambda world, _: world.down(Side.POSTHOG, A_MINUTE_SECONDS), Side.POSTHOG, long=True
    ),
    "poisoned event": verdicts("drop:event_too_big", most=1),
    "poisoned event kept": verdicts("drop:event_too_big", most=1, dead_letters="file"),
    "poisoned event, disk full": verdicts("drop:event_too_big", most=1, dead_letters="full disk"),
    "the machine's clock jumps": Kind(jump),
    "target stands still": pauses("target"),
    "tap stands still": pauses("tap"),
    "SIGTERM to tap at a full pipe": pauses("target", then=signal.SIGTERM),
    "SIGKILL to tap at a full pipe": pauses("target", then=signal.SIGKILL),
    "SIGTERM to tap": signals(signal.SIGTERM, "tap"),
    "SIGINT to tap": signals(signal.SIGINT, "tap"),
    "SIGKILL to tap": signals(signal.SIGKILL, "tap"),
    "SIGTERM to target": signals(signal.SIGTERM, "target"),
    "SIGINT to target": signals(signal.SIGINT, "target"),
    "SIGKILL to target": signals(signal.SIGKILL, "target"),
    "SIGINT to both": signals(signal.SIGINT, "tap", "target"),
    "SIGKILL to both": signals(signal.SIGKILL, "tap", "target"),
    "SIGTERM to Meltano": signals(signal.SIGTERM, "meltano", pipe="meltano"),
    "SIGINT to Meltano": signals(signal.SIGINT, "meltano", pipe="meltano"),
    "Ctrl-C to all three": signals(signal.SIGINT, "meltano", "tap", "target", pipe="meltano"),
    "SIGKILL to Meltano": signals(signal.SIGKILL, "meltano", pipe="meltano"),
}

"""The sandbox for all tests, a small store and an empty PostHog; which tests are pure, and in which order they run."""

from __future__ import annotations

import gc
import signal
import sys
import threading
import time
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import stamina.instrumentation
from hypothesis import settings

from sandbox.posthog import PostHog
from sandbox.shop import Shop
from sandbox.shop.cdnow import cdnow_store
from tests.pipeline.meltano_project import Project, place_project, quiet_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).parent

LAST_DAY = date(2026, 10, 31)


def weeks_later() -> Callable[[], datetime]:
    """Return a clock that began some weeks after the last day: how long ago an order is isn't a matter of today."""
    began = time.monotonic()
    return lambda: datetime(2026, 11, 27, 12, tzinfo=timezone.utc) + timedelta(seconds=time.monotonic() - began)


# The folders whose tests take longest: begun last, one of them would run on alone while the other workers have no more.
LONGEST_FIRST = ("faults", "orchestrate", "stores", "walks", "secrets", "pipeline", "page", "books", "facts", "tap")

# A full collection goes through all that is loaded, whole GraphQL schemas among it. At Python's own thresholds it takes
# a fourth of the time of tests that read a shop in this process; these leave little of it, for 200 MB more.
gc.set_threshold(50_000, 20, 100)

# How long an example takes says how busy the machine is, and never fails a test. tests/properties has its own profile.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


# What a test that only calculates never does, seen by a hook of Python's own, whatever it is done through.
SERVING = {"socket.bind", "socket.connect", "subprocess.Popen", "os.fork", "os.posix_spawn"}

# What makes a test more than a calculation: a server, a browser or a process. These folders are full of them.
SERVED = {"orchestrate", "walks", "secrets", "benchmarks", "faults", "outside", "pipeline", "page"}
SERVERS = {
    "shop",
    "shop_with",
    "posthog",
    "posthog_server",
    "project",
    "desk",
    "serve",
    "odd_server",
    "database_of_receipts",
}
STARTERS = {"socket", "subprocess", "Shop", "PostHog", "Project", "get_tap_test_class", "get_target_test_class"}


def is_pure(item: pytest.Item) -> bool:
    """Return whether a test only calculates: it takes nothing that serves, and its module starts nothing."""
    module = item.getparent(pytest.Module)
    starters = STARTERS & vars(module.obj).keys() if module else set()
    folders = SERVED.intersection(item.path.relative_to(HERE).parts)
    return not (folders or SERVERS & set(getattr(item, "fixturenames", ())) or starters)


class Calculating:
    """Fails a test that counts as pure and yet starts a server or a process, or speaks to one."""

    def __init__(self) -> None:
        self._test = ""
        sys.addaudithook(self._audit)

    def _audit(self, event: str, _: tuple[Any, ...]) -> None:
        if event in SERVING and self._test and threading.current_thread() is threading.main_thread():
            pytest.fail(f"{event}: {self._test} isn't pure, so tests/conftest.py has to know what it starts it with")

    # Not while it is torn down: after a worker's last test that ends what other tests have started, too.
    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Iterator[None]:
        return (yield from self._watched(item))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        return (yield from self._watched(item))

    def _watched(self, item: pytest.Item) -> Iterator[None]:
        self._test = item.nodeid if item.get_closest_marker("pure") else ""
        try:
            return (yield)
        finally:
            self._test = ""


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Calculating())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if is_pure(item):
            item.add_marker("pure")
    ranks = {folder: rank for rank, folder in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: ranks.get(item.path.parent.name, len(ranks)))


@pytest.fixture(autouse=True)
def _retries_are_not_printed() -> None:
    """Keep stamina's own hook out of what tests read; a run does so where its process begins."""
    stamina.instrumentation.set_on_retry_hooks([])


@pytest.fixture(autouse=True)
def _signals_are_pytests() -> Iterator[None]:
    """Give the signals back that a target in this process has taken, or Ctrl-C would end nothing."""
    taken = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in taken.items():
        signal.signal(number, handler)


@pytest.fixture
def shop() -> Iterator[Shop]:
    with Shop(cdnow_store(LAST_DAY, customers=40), clock=weeks_later()).serve() as served:
        yield served


@pytest.fixture
def posthog() -> Iterator[PostHog]:
    with PostHog().serve() as served:
        yield served


@pytest.fixture
def project(tmp_path: Path, shop: Shop, posthog: PostHog) -> Project:
    """The repository's own Meltano project, in a folder of its own, between a served shop and a served PostHog."""
    place_project(tmp_path)
    return Project(
        tmp_path,
        quiet_environment() | {"TAP_SHOPIFY_ORDERS_ADMIN_URL": f"{shop.url}/admin", "TARGET_POSTHOG_HOST": posthog.url},
    )


@pytest.fixture(scope="module")
def posthog_server() -> Iterator[PostHog]:
    """A PostHog that serves all tests of a module, each of which empties it first."""
    with PostHog().serve() as served:
        yield served

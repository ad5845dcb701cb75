"""A shop whose answers have no end, any size, or come from anywhere, is left after a while, with a sentence."""

from __future__ import annotations

import gzip
import itertools
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from tempfile import TemporaryFile

import pytest

from tap_shopify_orders.shopify.answers import Busy, Gone, host_of
from tap_shopify_orders.shopify.auth import AccessToken
from tap_shopify_orders.shopify.client import Client
from tap_shopify_orders.shopify.transport import Transport, check_link
from tests.attacks.hostile import Hostile, dripping, head
from tests.own_process import in_own_process

SECONDS = 0.5
MIB = 1 << 20
ENDLESS = b"x" * 65_536


def plain(*_: bytes) -> Iterator[bytes]:
    yield head("Content-Length: 2") + b"{}"


def dripping_head(_: bytes) -> Iterator[bytes]:
    yield from dripping(head("Content-Length: 2", "X-Padding: " + "x" * 10_000))


def headers_without_end(_: bytes) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\n"
    for number in itertools.count():
        yield b"X-%d: x\r\n" % number


def silent(_: bytes) -> Iterator[bytes]:
    time.sleep(10)
    yield b""


def dripping_body(_: bytes) -> Iterator[bytes]:
    yield head("Content-Length: 100000")
    yield from dripping(b"{" * 100_000)


def dripping_chunks(_: bytes) -> Iterator[bytes]:
    yield head("Transfer-Encoding: chunked")
    yield from dripping(b"1\r\n{\r\n" * 100_000)


def a_chunk_size_without_end(_: bytes) -> Iterator[bytes]:
    yield head("Transfer-Encoding: chunked")
    yield from dripping(b"0" * 100_000)


def body_without_end(_: bytes) -> Iterator[bytes]:
    yield head("Content-Type: application/json")
    yield from itertools.repeat(ENDLESS)


def body_of_a_huge_length(_: bytes) -> Iterator[bytes]:
    yield head(f"Content-Length: {10**15}")
    yield from itertools.repeat(ENDLESS)


def continues(_: bytes) -> Iterator[bytes]:
    yield from itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n")


def packed(coding: str, pack: Callable[[bytes], bytes]) -> Callable[[bytes], Iterator[bytes]]:
    body = pack(b"\0" * (64 * MIB))

    def play(_: bytes) -> Iterator[bytes]:
        yield head(f"Content-Encoding: {coding}", f"Content-Length: {len(body)}") + body

    play.__name__ = coding
    return play


BOMBS = [
    packed("gzip", gzip.compress),
    packed("deflate", zlib.compress),
    packed("gzip, gzip", lambda text: gzip.compress(gzip.compress(text))),
]
SLOW = [dripping_head, silent, dripping_body, dripping_chunks, a_chunk_size_without_end, continues]
ENDLESS_PLAYS = [headers_without_end, body_without_end, body_of_a_huge_length]


Serve = Callable[[Callable[[bytes], Iterator[bytes]]], Hostile]


@pytest.fixture
def serve() -> Iterator[Serve]:
    with ExitStack() as served:
        yield lambda play: served.enter_context(Hostile(play).serve())


def refuse(hostile: Hostile) -> None:
    """Ask a shop whose answer is none."""
    transport = Transport(hostile.url, seconds=SECONDS, most_bytes=2 * MIB)
    with pytest.raises(Busy, match=r"\.$"):
        transport.post(f"{hostile.url}/x", b"{}")


@pytest.mark.parametrize("play", [*SLOW, *ENDLESS_PLAYS, *BOMBS], ids=lambda play: play.__name__)
def test_an_answer_ends_in_time_and_in_size(serve: Serve, play: Callable[[bytes], Iterator[bytes]]) -> None:
    refuse(serve(play))


def peak_bytes() -> int:
    """Return the most memory that an answer took which is too large."""
    tracemalloc.start()
    for play in (*ENDLESS_PLAYS, *BOMBS):
        with Hostile(play).serve() as hostile:
            refuse(hostile)
    return tracemalloc.get_traced_memory()[1]


def test_what_is_too_large_is_never_whole_in_memory() -> None:
    assert in_own_process(peak_bytes) < 32 * MIB


def test_after_an_answer_without_end_the_next_question_is_answered(serve: Serve) -> None:
    plays = iter([dripping_body, body_without_end, plain])

    def play(request: bytes) -> Iterator[bytes]:
        yield from next(plays)(request)

    hostile = serve(play)
    transport = Transport(hostile.url, seconds=SECONDS, most_bytes=2 * MIB)
    for _ in range(2):
        with pytest.raises(Busy):
            transport.post(f"{hostile.url}/x", b"{}")
    assert transport.post(f"{hostile.url}/x", b"{}").content == b"{}"


def test_a_download_that_drips_is_broken_off_and_what_came_is_there(serve: Serve) -> None:
    at_once, drops = b"x" * 200_000, b"y" * 1_000

    def play(_: bytes) -> Iterator[bytes]:
        yield head("Content-Length: 10000000") + at_once
        yield from dripping(drops)

    hostile = serve(play)
    came: list[bytes] = []
    with Transport(hostile.url, seconds=SECONDS / 5).download(f"{hostile.url}/x", 0) as download, pytest.raises(Busy):
        came.extend(download.blocks)
    there = b"".join(came)
    assert len(there) > 100_000
    assert (at_once + drops).startswith(there)  # with some of the drops, if the last read ended with them


def cut_after(hundreds_of_kb: Iterator[int]) -> Callable[[bytes], Iterator[bytes]]:
    """Return a server that ignores where to begin and sends, of ten times as much, the beginning alone."""

    def play(_: bytes) -> Iterator[bytes]:
        yield head("Content-Length: 10000000")
        for number in range(next(hundreds_of_kb)):
            yield bytes([number]) * 100_000

    return play


def test_a_server_that_begins_anew_and_cuts_for_ever_is_given_up(serve: Serve) -> None:
    hostile = serve(cut_after(itertools.cycle([30, 15, 29])))
    client = Client(hostile.url, AccessToken("shpat_x"), patience_seconds=2.0)
    client.answers = 1  # the store has answered before
    with TemporaryFile() as file, pytest.raises(Busy, match="broke off"):
        client.save(f"{hostile.url}/x", file)
    assert 2 < len(hostile.requests) < 20, "it waits between two of them"
    assert not any(b"shpat_x" in request for request in hostile.requests)


def test_a_server_that_begins_anew_and_cuts_gets_there_if_it_sends_more_each_time(serve: Serve) -> None:
    hostile = serve(cut_after(iter([20, 40, 60, 80, 100])))
    client = Client(hostile.url, AccessToken("shpat_x"), patience_seconds=2.0)
    with TemporaryFile() as file:
        client.save(f"{hostile.url}/x", file)
        file.seek(0)
        assert file.read() == b"".join(bytes([number]) * 100_000 for number in range(100))


def test_a_download_is_not_unpacked(serve: Serve) -> None:
    body = gzip.compress(b"x" * MIB)

    def play(_: bytes) -> Iterator[bytes]:
        yield head("Content-Encoding: gzip", f"Content-Length: {len(body)}") + body

    hostile = serve(play)
    with Transport(hostile.url).download(f"{hostile.url}/x", 7) as download:
        assert b"".join(download.blocks) == body
        assert download.headers["Content-Encoding"] == "gzip"
    assert b"Range: bytes=7-" in hostile.requests[0]
    assert b"Accept-Encoding: identity" in hostile.requests[0]


SHOP = "https://my-store.myshopify.com/admin"


@pytest.mark.parametrize(
    "link",
    [
        "http://storage.example/x",
        "ftp://storage.example/x",
        "file:///etc/passwd",
        "//storage.example/x",
        "https://127.0.0.1/x",
        "https://127.1/x",
        "https://2130706433/x",
        "https://localhost/x",
        "https://[::1]/x",
        "https://[::ffff:127.0.0.1]/x",
        "https://[fe80::1]/x",
        "https://169.254.169.254/latest/meta-data",
        "https://10.0.0.1/x",
        "https://192.168.0.1/x",
        "https://172.16.0.1/x",
        "https://100.64.0.1/x",
        "https://[fd00::1]/x",
        "https://0.0.0.0/x",
        "https://[bad",
        "https://",
        "",
    ],
)
def test_a_result_is_not_had_from_this_network_or_in_the_clear(link: str) -> None:
    with pytest.raises(Gone) as raised:
        check_link(link, Transport(SHOP), SHOP)
    assert not (link and link in str(raised.value)), "a link is its own key"


@pytest.mark.parametrize("link", ["https://8.8.8.8/x", "https://[2001:4860:4860::8888]/x"])
def test_a_result_may_be_anywhere_in_the_open(link: str) -> None:
    check_link(link, Transport(SHOP), SHOP)


def test_a_result_may_be_where_the_admin_api_is() -> None:
    shop = "http://127.0.0.1:1/admin"
    check_link("http://127.0.0.1:2/x", Transport(shop), shop)


def test_a_proxy_sees_no_token_in_the_clear(monkeypatch: pytest.MonkeyPatch, serve: Serve) -> None:
    proxy, shop = serve(plain), serve(plain)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, proxy.url)
    monkeypatch.setenv("NO_PROXY", "")
    Transport(shop.url).post(f"{shop.url}/x", b"{}", {"X-Shopify-Access-Token": "shpat_x"})
    assert (len(shop.requests), proxy.requests) == (1, [])


def test_a_host_is_said_without_user_and_password() -> None:
    assert host_of("https://jane:secret@shop.example:8443/admin") == "shop.example:8443"
    assert host_of("http://[bad") == "an address that isn't one"

"""HTTP to one host: takes a request, returns an answer that is whole, within a time and a size.

Knows certificates, proxies, deadlines and what may be asked of which address, but not what an answer means. No redirect
is followed, and nothing is read from a netrc file.
"""

from __future__ import annotations

import socket
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from itertools import islice
from threading import Thread, current_thread
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import requests
import urllib3

from tap_shopify_orders.errors import RunError
from tap_shopify_orders.shopify.answers import Busy, Gone, host_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

CONNECT_SECONDS, READ_SECONDS = 10.0, 60.0  # Shopify itself gives up after 10 s (504), then sends a page of some MB
ANSWER_SECONDS = 120.0  # the whole of a request, however busily its parts come
DOWNLOAD_SHARE = 5  # of that, for a part of a result; the next part goes on from there
LARGEST_ANSWER_BYTES = 64 << 20  # a page of 250 orders with all fields has some MB
BLOCK_BYTES = 1 << 16
BLOCKS_AT_ONCE = 64  # of a result, by one thread: to begin a thread takes as long as some blocks
NO_CERTIFICATES = (
    "The certificates to trust can't be read: REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE in the environment names a file that"
    " isn't there. Name the right one, or neither."
)
CHECK = "check the network, and the settings `store` and `admin_url`"
T = TypeVar("T")


@dataclass(frozen=True)
class Received:
    """A whole answer; `content` is unpacked."""

    status_code: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def text(self) -> str:
        """The content, as text of whatever kind."""
        return self.content.decode("utf-8", "replace")


@dataclass(frozen=True)
class Download:
    """The head of an answer, and its body in blocks, as it was sent; they raise Busy when it breaks off."""

    status_code: int
    headers: Mapping[str, str]
    blocks: Iterator[bytes]


class Transport:
    """Asks one host.

    Each request ends within `seconds`, each answer within `most_bytes`. Raises RunError where a certificate or an
    address is wrong, else Busy.
    """

    def __init__(self, url: str, *, seconds: float = ANSWER_SECONDS, most_bytes: int = LARGEST_ANSWER_BYTES) -> None:
        """Read proxies and certificates from the environment, once; nothing is asked yet."""
        self.host, self.seconds, self._most_bytes = host_of(url), seconds, most_bytes
        self._session = requests.Session()
        settings = self._session.merge_environment_settings(url, {}, None, None, None)
        self._session.verify, self._session.trust_env = settings["verify"], False
        # What isn't encrypted stays on this machine: a proxy would see the token.
        self._session.proxies = settings["proxies"] if urlsplit(url).scheme == "https" else {}

    @property
    def has_proxy(self) -> bool:
        """Whether a proxy asks in our place."""
        return bool({"https", "all"} & self._session.proxies.keys())

    def close(self) -> None:
        """Let go of the connections that are kept."""
        self._session.close()

    def post(self, url: str, data: bytes | Mapping[str, str], headers: Mapping[str, str] | None = None) -> Received:
        """Return the answer to a POST."""
        ends = monotonic() + self.seconds
        response = self._until(ends, lambda: self._asked("POST", url, data=data, headers=headers))
        with response:
            content = self._until(ends, lambda: self._content(response), response)
        return Received(response.status_code, response.headers, content)

    @contextmanager
    def download(self, link: str, begins: int) -> Iterator[Download]:
        """Ask for what is behind a link, from a byte on; the blocks have several times as long as an answer has."""
        ends = monotonic() + self.seconds * DOWNLOAD_SHARE
        headers = {"Accept-Encoding": "identity", "Range": f"bytes={begins}-"}  # else a place in the file means nothing
        response = self._until(ends, lambda: self._asked("GET", link, headers=headers))
        with response:
            blocks = response.raw.stream(BLOCK_BYTES, decode_content=False)

            def timed() -> Iterator[bytes]:
                while True:
                    came: list[bytes] = []
                    try:
                        self._until(ends, partial(_take, blocks, came), response)
                    except Busy:
                        yield b"".join(came)
                        raise
                    if not came:
                        return
                    yield b"".join(came)

            yield Download(response.status_code, response.headers, timed())

    def _asked(self, method: str, url: str, **more: Any) -> requests.Response:  # noqa: ANN401  # requests' arguments
        timeout = (CONNECT_SECONDS, READ_SECONDS)
        return self._session.request(method, url, timeout=timeout, allow_redirects=False, stream=True, **more)

    def _content(self, response: requests.Response) -> bytes:
        content = bytearray()
        for block in response.iter_content(BLOCK_BYTES):
            content += block
            if len(content) > self._most_bytes:
                raise Busy(f"{self.host} sends more than {self._most_bytes >> 20:,} MB at once.", share=0.5)
        return bytes(content)

    def _until(self, ends: float, call: Callable[[], T], response: requests.Response | None = None) -> T:
        """Return what a call returns; raises Busy if it is too late for that, and Busy or RunError for what it raises.

        Timeouts of sockets are for each byte, so a thread asks, and is left behind; what it reads is shut.
        """
        future = in_background(call)
        if not wait([future], timeout=max(0.0, ends - monotonic())).done:
            if response is not None:
                with suppress(OSError, RuntimeError, ValueError):  # it has just come to its end
                    response.raw.shutdown()
            raise self._late(self.seconds)
        try:
            return future.result()
        except requests.exceptions.SSLError as error:
            raise self._untrusted(error) from error
        except requests.exceptions.ProxyError as error:
            raise Busy(f"The proxy before {self.host} can't be reached, or refuses: check HTTPS_PROXY.") from error
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, UnicodeError):
            raise RunError(
                f"The address of {self.host} isn't one: check the settings `store` and `admin_url`."
            ) from None
        except requests.ReadTimeout as error:
            raise self._late(READ_SECONDS) from error
        except (requests.ConnectionError, requests.Timeout) as error:
            raise Busy(f"{self.host} can't be reached: {CHECK}.") from error
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:  # cut short, or can't be unpacked
            raise Busy(f"Shopify's answer broke off ({type(error).__name__}).", share=0.5) from error
        except OSError:
            raise RunError(NO_CERTIFICATES) from None

    def _late(self, seconds: float) -> Busy:
        return Busy(f"{self.host} took longer than {seconds:.0f} s: {CHECK}.", share=0.5)

    def _untrusted(self, error: Exception) -> Exception:
        if "CERTIFICATE_VERIFY_FAILED" not in str(error):
            return Busy(f"{self.host} and the tap can't agree on TLS: check what stands between, such as a proxy.")
        return RunError(
            f"Nobody whom this machine trusts vouches for the certificate of {self.host}: if a proxy or a company's own"
            " authority stands between, name its certificates in REQUESTS_CA_BUNDLE. Nothing was sent."
        )


def _take(blocks: Iterator[bytes], came: list[bytes]) -> None:
    for block in islice(blocks, BLOCKS_AT_ONCE):
        came.append(block)  # noqa: PERF402  # one by one, so that those before a fault are there


def check_link(link: str, root: Transport, root_url: str) -> None:
    """Raise Gone for an address that a shop must not name: one in the clear, or in this network.

    Where the Admin API is there itself, as the sandbox's is, so may its results be.
    """
    inside = _is_inside(urlsplit(root_url).hostname or "")
    try:
        place = urlsplit(link)
        host = place.hostname or ""
    except ValueError:
        raise Gone("left a result at an address that isn't one") from None
    if not host:
        raise Gone("left a result at an address that isn't one")
    if place.scheme != "https" and not (place.scheme == "http" and inside):
        raise Gone("left a result that wouldn't come over TLS")
    if not inside and not root.has_proxy and _is_inside(host):
        raise Gone("left a result at an address inside this network")


def _is_inside(host: str) -> bool:
    """Say whether a name leads to this machine or its network, as far as it can be resolved."""
    try:
        found = {info[4][0] for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError):
        return False  # then nothing can be asked there either
    return any(not _is_public(str(address).partition("%")[0]) for address in found)


def _is_public(address: str) -> bool:
    number = ip_address(address)
    return (getattr(number, "ipv4_mapped", None) or number).is_global


def in_background(call: Callable[[], T]) -> Future[T]:
    """Return the call's result as it will be; the thread never keeps the process alive."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # noqa: BLE001  # raised again where it is waited for
            future.set_exception(error)

    Thread(target=run, daemon=True, name=current_thread().name).start()  # by which the log tells stores apart
    return future

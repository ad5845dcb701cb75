"""Address of a PostHog: where events and keys may be sent.

Takes the setting `host` as people write it, returns scheme, host and port, or raises `RunError`.
"""

from __future__ import annotations

from ipaddress import ip_address

from posthog.request import determine_server_host
from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from target_posthog.errors import RunError

CLOUD = ".posthog.com"


def ingestion_address(host: str) -> str:
    """Return the address that takes events, such as `https://eu.i.posthog.com`; raises `RunError`.

    Keys and customers' data travel over TLS; `http://` is for this machine alone. The value itself is never shown: it
    could hold a password.
    """
    text = host.strip()
    address = determine_server_host(text if "://" in text else f"https://{text}").rstrip("/")
    try:
        url = parse_url(address)  # as `requests` will read it
    except LocationParseError:
        url = None
    if url is None or url.scheme not in {"http", "https"} or not url.host or "\\" in text:
        raise RunError(
            "`host` is no address; use the one in PostHog's project settings, such as https://eu.i.posthog.com"
        )
    if url.auth or url.query or url.fragment:
        raise RunError("`host`: an address alone, please, without a user, a password, `?` or `#`")
    if url.scheme == "http" and not is_loopback(url.host):
        raise RunError(
            "`host` begins with http://, so the project key and customers' data would be readable on the way; use "
            "https:// (http:// is for a PostHog on this machine alone)"
        )
    return address


def is_cloud(address: str) -> bool:
    """Say whether an ingestion address is PostHog's own cloud, which has capture V1; a proxy before it isn't known."""
    return address.endswith(CLOUD)


def is_loopback(host: str) -> bool:
    """Say whether a host name is this machine's own."""
    name = host.strip("[]").lower()
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False

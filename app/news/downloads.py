"""Downloads with limits on size and time, by default only from public addresses."""

import ipaddress
import socket
import ssl
import threading
import time
from pathlib import Path
from queue import Empty, Queue
from urllib.parse import urlsplit
from urllib.request import url2pathname

import httpx

MAX_BYTES = 5 * 1024 * 1024
MAX_REDIRECTS = 5
# Seconds for one read or write, and for the whole download.
READ_TIMEOUT = 10.0
TOTAL_TIMEOUT = 30.0
_PORTS = {"http": 80, "https": 443}
# The last 32 bits of these addresses are an IPv4 address: compatible, translated (SIIT) and NAT64.
_WITH_IPV4 = [ipaddress.IPv6Network(network) for network in ("::/96", "::ffff:0:0:0/96", "64:ff9b::/96")]
# NAT64 inside an organisation: how such an address contains the IPv4 address is up to the organisation.
_LOCAL_NAT64 = ipaddress.IPv6Network("64:ff9b:1::/48")


class DownloadError(Exception):
    """A download that failed; the message gives the reason."""


def fetch(source: str, *, allow_private: bool = False) -> bytes:
    """Return the content of a file or of an http, https or file URL."""
    parts = urlsplit(source)
    if parts.scheme in _PORTS:
        return _download_in_time(source, allow_private)
    if parts.scheme not in {"", "file"} or parts.netloc:
        raise DownloadError(f"{source} is neither a file nor a URL of http, https or file:///")
    return _read_file(Path(url2pathname(parts.path) if parts.scheme else source))


def _read_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise DownloadError(f"{path}: {error.strerror}") from error
    _check_size(content, str(path))
    return content


def _download_in_time(source: str, allow_private: bool) -> bytes:
    """Limit the time of everything: the look-up of the name, handshakes, and headers that arrive byte by byte."""
    done: Queue[bytes | Exception] = Queue()

    def work() -> None:
        try:
            done.put(_download(source, allow_private))
        except Exception as error:
            done.put(error)

    threading.Thread(target=work, name="download", daemon=True).start()
    try:
        result = done.get(timeout=TOTAL_TIMEOUT)
    except Empty:
        raise DownloadError(f"{source} takes longer than {TOTAL_TIMEOUT:.0f} seconds") from None
    if isinstance(result, Exception):
        raise result
    return result


def _download(source: str, allow_private: bool) -> bytes:
    deadline = time.monotonic() + TOTAL_TIMEOUT
    # No compression, because a small answer could unpack to a huge one. No proxy, because it would look up the name
    # again.
    headers = {"User-Agent": "flaskfleet-news", "Accept-Encoding": "identity"}
    verify = ssl.create_default_context()
    url = source
    try:
        with httpx.Client(verify=verify, trust_env=False, timeout=READ_TIMEOUT, headers=headers) as client:
            for _ in range(MAX_REDIRECTS + 1):
                parsed = httpx.URL(url)
                if parsed.scheme not in _PORTS:
                    raise DownloadError(f"{source} redirects to {url}, which is not a URL of http or https")
                # Connect to the address that was checked: a second look-up of the name could return another one.
                address = _resolve(parsed, allow_private)
                with client.stream(
                    "GET",
                    parsed.copy_with(host=address),
                    headers={"Host": parsed.netloc.decode()},
                    extensions={"sni_hostname": parsed.raw_host.decode()},
                ) as response:
                    if not response.has_redirect_location:
                        return _read(response, url, deadline)
                    url = str(parsed.join(response.headers["Location"]))
    except (OSError, ValueError, httpx.HTTPError, httpx.InvalidURL) as error:
        raise DownloadError(f"{url}: {error or type(error).__name__}") from error
    raise DownloadError(f"{source} redirects more than {MAX_REDIRECTS} times")


def _resolve(url: httpx.URL, allow_private: bool) -> str:
    """Return an address of the URL's host; refuse the host if any of its addresses is private."""
    # httpx accepts ports above 65535; urlsplit raises ValueError.
    port = urlsplit(str(url)).port or _PORTS[url.scheme]
    found = socket.getaddrinfo(url.raw_host.decode(), port, type=socket.SOCK_STREAM)
    addresses = [str(address[0]) for *_, address in found]
    if not allow_private and (private := [address for address in addresses if not _is_public(address)]):
        raise DownloadError(
            f"{url} is at {private[0]}, which is not a public address; use --allow-private if that is intended"
        )
    return addresses[0]


def _is_public(address: str) -> bool:
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped:
            return _is_public(str(found.ipv4_mapped))
        if found in _LOCAL_NAT64 or not all(_is_public(str(inner)) for inner in _embedded(found)):
            return False
    return found.is_global and not found.is_multicast


def _embedded(address: ipaddress.IPv6Address) -> list[ipaddress.IPv4Address]:
    """Return the IPv4 addresses that a packet to this address may reach through a gateway."""
    if any(address in network for network in _WITH_IPV4):
        return [ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)]
    return [address.sixtofour] if address.sixtofour else list(address.teredo or ())


def _read(response: httpx.Response, url: str, deadline: float) -> bytes:
    if response.status_code != 200:
        raise DownloadError(f"{url} answers {response.status_code} {response.reason_phrase}")
    content = b""
    for block in response.iter_raw():
        content += block
        _check_size(content, url)
        if time.monotonic() > deadline:
            raise DownloadError(f"{url} takes longer than {TOTAL_TIMEOUT:.0f} seconds")
    return content


def _check_size(content: bytes, source: str) -> None:
    if len(content) > MAX_BYTES:
        raise DownloadError(f"{source} has more than {MAX_BYTES // 1024 // 1024} MB")

"""The API for hosts, with TLS at an address of this machine. pgBackRest requires it, and moto's own breaks at a PUT."""

import asyncio
import ssl
import threading
from functools import partial

from plugins.certificates import tls_pair
from tests.support.cloud import hosts
from tests.support.cloud.load_balancer import pump

PORT = 8443
KEY = hosts.DIRECTORY / "s3.key"


def certify(address: str) -> None:
    """Create the certificate of the address, which hosts trust."""
    key, certificate = tls_pair(address)
    KEY.touch(mode=0o600)
    KEY.write_text(key)
    hosts.CERTIFICATE.write_text(certificate)


def serve(address: str, upstream: int, port: int = PORT) -> None:
    """Forward connections to the API at 127.0.0.1:`upstream`, in a thread that ends with the process."""
    threading.Thread(target=asyncio.run, args=(_serve(address, upstream, port),), daemon=True).start()


async def _serve(address: str, upstream: int, port: int) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(hosts.CERTIFICATE, KEY)
    server = await asyncio.start_server(partial(_relay, upstream), address, port, ssl=context)
    await server.serve_forever()


async def _relay(upstream: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    target_reader, target_writer = await asyncio.open_connection("127.0.0.1", upstream)
    pumps = [asyncio.create_task(pump(reader, target_writer)), asyncio.create_task(pump(target_reader, writer))]
    # The first end is that of the request, or of the answer.
    done, rest = await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
    for task in rest:
        task.cancel()
    for task in done:
        task.exception()  # a client that has gone
    for each in (target_writer, writer):
        each.close()

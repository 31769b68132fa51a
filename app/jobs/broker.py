"""Redis as Celery's broker, which drops messages that cannot be read.

kombu parses a message outside of every error handler. Without this check one message that is not JSON ends the worker.
"""

from typing import Any, Literal

import msgspec
import structlog
from kombu.transport import TRANSPORT_ALIASES, redis

from app.logs.redaction import redact

log = structlog.get_logger(__name__)

MAX_LOGGED = 200


class _DeliveryInfo(msgspec.Struct):
    exchange: str
    routing_key: str


class _Properties(msgspec.Struct):
    delivery_tag: str
    delivery_info: _DeliveryInfo
    body_encoding: Literal["base64"]


class _Headers(msgspec.Struct):
    task: str = ""


class _Envelope(msgspec.Struct, rename=lambda name: name.replace("_", "-")):
    """The parts of a message that kombu and Celery read without an error handler. `bytes` stands for base64."""

    body: bytes
    content_type: str
    content_encoding: str
    headers: _Headers
    properties: _Properties


def _readable(response: Any, **_: Any) -> Any:
    """Return the queue and the message of an answer to BRPOP, or None if there is none or it cannot be read."""
    if not response:
        return None
    queue, message = response
    try:
        msgspec.json.decode(message, type=_Envelope)
    except (msgspec.MsgspecError, RecursionError) as error:
        start = redact(bytes(message[:MAX_LOGGED]).decode("utf-8", "replace"))
        log.error("message dropped", queue=queue.decode(), reason=str(error), size=len(message), start=start)
        return None
    return queue, message


class Channel(redis.Channel):
    """A channel to one Redis."""

    def _create_client(self, asynchronous: bool = False) -> Any:
        parent: Any = super()
        client = parent._create_client(asynchronous)
        client.set_response_callback("BRPOP", _readable)
        return client


class SentinelChannel(redis.SentinelChannel, Channel):
    """A channel to the master that Sentinel names."""


class Transport(redis.Transport):
    """The broker of `redis://` URLs."""

    Channel = Channel


class SentinelTransport(redis.SentinelTransport):
    """The broker of `sentinel://` URLs."""

    Channel = SentinelChannel


# Not the setting `broker_transport`: kombu forgets it when it tries the next Sentinel.
TRANSPORT_ALIASES.update(redis=f"{__name__}:Transport", sentinel=f"{__name__}:SentinelTransport")

"""Checks messages from the broker.

A malformed message must not stop the worker: Redis would redeliver it to the next one.
"""

from collections.abc import Callable
from typing import Any

import msgspec
from celery import Celery, Task
from celery.exceptions import InvalidTaskError
from celery.worker.strategy import default


class _Headers(msgspec.Struct):
    """The headers that Celery and our metrics use without an error handler."""

    id: str
    root_id: str | None = None
    parent_id: str | None = None
    group: str | None = None
    shadow: str | None = None
    retries: int | None = 0
    timelimit: tuple[float | None, float | None] | None = None
    sent_at: float | None = None
    request_id: str | None = None


def strategy(task: Task[Any, Any], app: Celery, consumer: Any) -> Callable[..., Any]:
    """Return Celery's handler of a task's messages, with a check of the message before it.

    Celery logs an InvalidTaskError and rejects the message. Any other error stops the worker, and the message is
    redelivered.
    """
    handle: Callable[..., Any] = default(task, app, consumer)

    def checked(message: Any, *args: Any, **kwargs: Any) -> Any:
        payload = message.payload
        is_call = isinstance(payload, list) and [type(part) for part in payload] == [list, dict, dict]
        if not is_call:
            raise InvalidTaskError("the message must have args, kwargs and options")
        try:
            msgspec.convert(message.headers, _Headers)
        except msgspec.ValidationError as error:
            raise InvalidTaskError(f"a header of the message is not valid: {error}") from error
        return handle(message, *args, **kwargs)

    return checked

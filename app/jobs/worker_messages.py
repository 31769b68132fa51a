"""Checks messages from the broker.

A malformed message must not stop the worker: Redis would redeliver it to the next one.
"""

from collections.abc import Callable
from typing import Any

from celery import Celery, Task
from celery.exceptions import InvalidTaskError
from celery.worker.strategy import default


def strategy(task: Task[Any, Any], app: Celery, consumer: Any) -> Callable[..., Any]:
    """Return Celery's handler of a task's messages, with a check of the message before it.

    Celery logs an InvalidTaskError and rejects the message. Any other error stops the worker, and the message is
    redelivered.
    """
    handle: Callable[..., Any] = default(task, app, consumer)

    def checked(message: Any, *args: Any, **kwargs: Any) -> Any:
        payload = message.payload
        is_call = isinstance(payload, list) and [type(part) for part in payload] == [list, dict, dict]
        if not is_call or not isinstance(message.headers.get("id"), str):
            raise InvalidTaskError("the message must have args, kwargs, options and an id")
        return handle(message, *args, **kwargs)

    return checked

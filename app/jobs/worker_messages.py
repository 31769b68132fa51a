"""What a worker takes from the broker: a message that is no task must not end it, and come back to end the next one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from celery import Celery, Task
from celery.exceptions import InvalidTaskError
from celery.worker.strategy import default


def strategy(task: Task[Any, Any], app: Celery, consumer: Any) -> Callable[..., Any]:
    """Return Celery's own handler of a task's messages, behind a look at what it takes for granted.

    Celery rejects an InvalidTaskError and logs it. Anything else ends the worker, which gives the message back.
    """
    handle: Callable[..., Any] = default(task, app, consumer)

    def checked(message: Any, *args: Any, **kwargs: Any) -> Any:
        if not _is_call(message.payload) or not isinstance(message.headers.get("id"), str):
            raise InvalidTaskError("not arguments, named arguments and options of a task with an id")
        return handle(message, *args, **kwargs)

    return checked


def _is_call(payload: Any) -> bool:
    return isinstance(payload, list) and [type(part) for part in payload] == [list, dict, dict]

"""Requests that may be sent again: the answer is kept in the transaction that did the work, under the client's own key."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec
from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.database.models import IdempotentRequest, now
from app.extensions import db

KEPT = timedelta(hours=24)


class OtherRequestError(Exception):
    """The key was used for another request."""


@dataclass(frozen=True)
class Answer:
    """What a client is told."""

    status: int
    location: str
    body: str
    replayed: bool = False


def once(caller: int, key: str, request: Any, work: Callable[[Session], Answer]) -> Answer:
    """Do `work` in a transaction and keep its answer, or return the answer of the first time.

    Raise OtherRequestError where the key was used for another request. Of requests at the same moment one does the work: the others
    wait for its row in the database, and find it or, where it failed, try themselves.
    """
    name = _digest([caller, key])
    digest = _digest(request)

    def attempt(session: Session) -> Answer:
        session.execute(
            delete(IdempotentRequest).where(IdempotentRequest.id == name, IdempotentRequest.created_at < now() - KEPT)
        )
        # Before the work: the second of two must not begin it.
        kept = IdempotentRequest(id=name, request_hash=digest, status=0, body="")
        session.add(kept)
        session.flush()
        answer = work(session)
        kept.status, kept.location, kept.body = answer.status, answer.location, answer.body
        return answer

    try:
        return db.write(attempt)
    except IntegrityError:
        if (kept := db.read(lambda session: session.get(IdempotentRequest, name), primary=True)) is None:
            raise
    if kept.request_hash != digest:
        raise OtherRequestError
    return Answer(kept.status, kept.location, kept.body, replayed=True)


def forget(session: Session) -> None:
    """Forget the keys of yesterday."""
    session.execute(delete(IdempotentRequest).where(IdempotentRequest.created_at < now() - KEPT))


def _digest(value: Any) -> str:
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()

"""Idempotency keys: the response is stored under the client's key, in the transaction that does the work."""

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

RETENTION = timedelta(hours=24)


class OtherRequestError(Exception):
    """The key was already used for a different request."""


@dataclass(frozen=True)
class Answer:
    """The response for a client."""

    status: int
    location: str
    body: str
    replayed: bool = False


def once(caller: int, key: str, request: Any, work: Callable[[Session], Answer]) -> Answer:
    """Do `work` in a transaction and store its answer, or return the answer that is already stored.

    Raise OtherRequestError if the key was used for a different request. Of concurrent requests, one does the work. The
    others wait for its row in the database, then return its answer, or do the work if it failed.
    """
    name = _digest([caller, key])
    digest = _digest(request)

    def attempt(session: Session) -> Answer:
        session.execute(
            delete(IdempotentRequest).where(
                IdempotentRequest.id == name, IdempotentRequest.created_at < now() - RETENTION
            )
        )
        # Before the work, so that a concurrent request waits here and does not do the work too.
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


def delete_old(session: Session) -> None:
    """Delete keys that are older than a day."""
    session.execute(delete(IdempotentRequest).where(IdempotentRequest.created_at < now() - RETENTION))


def _digest(value: Any) -> str:
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()

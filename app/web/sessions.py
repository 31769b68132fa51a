"""Sessions of the site: kept in the store, in msgpack, under an unguessable id. The API and anonymous readers have none."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import structlog
from flask import Flask, Request, Response, request, session
from flask_session.base import ServerSideSession, ServerSideSessionInterface

from app.redis.store import Store, StoreUnavailableError

log = structlog.get_logger(__name__)

# Paths that never have a session, whatever cookie a client sends.
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
WITHOUT_SESSION = ("/api/", "/static/", "/livez", "/readyz", "/metrics")


def refuse_forms_without_session() -> None:
    """Answer that the store is away to a form that came without its session for this reason, not that the form is wrong."""
    if (
        isinstance(session, NoSession)
        and request.method not in SAFE_METHODS
        and not request.path.startswith(WITHOUT_SESSION)
    ):
        raise StoreUnavailableError("sessions unavailable")


class _Serializer:
    """Msgpack alone: Flask-Session's own falls back to pickle, so that whoever writes to the store would run code here."""

    def encode(self, session: ServerSideSession) -> bytes:
        return msgspec.msgpack.encode(dict(session))

    def decode(self, data: bytes) -> dict[str, Any]:
        try:
            return msgspec.msgpack.decode(data, type=dict[str, Any])
        except msgspec.DecodeError:
            log.warning("session could not be read, starting a new one")
            return {}


class NoSession(ServerSideSession):
    """Stands where there is no session. What is written to it goes nowhere, and it never touches a cookie."""


class StoreSessionInterface(ServerSideSessionInterface):
    """Flask-Session over the application's store."""

    ttl = True

    def __init__(self, app: Flask, store: Store) -> None:
        super().__init__(app, key_prefix="session:", permanent=True)
        self.serializer = _Serializer()
        self._store = store

    def open_session(self, app: Flask, request: Request) -> ServerSideSession:
        """Return the request's session; an empty one where the path has none or the store is away."""
        if not request.path.startswith(WITHOUT_SESSION):
            try:
                return super().open_session(app, request)
            except StoreUnavailableError as error:
                # Reading goes on, anonymously; the cookie stays valid for when the store is back.
                log.warning("sessions unavailable", error=str(error))
        return NoSession(permanent=self.permanent)

    def save_session(self, app: Flask, session: ServerSideSession, response: Response) -> None:
        """Keep a changed session and set its cookie, where there is one."""
        if not isinstance(session, NoSession):
            super().save_session(app, session, response)

    def _retrieve_session_data(self, store_id: str) -> dict[str, Any] | None:
        data = self._store.get_session(store_id)
        return None if data is None else self.serializer.decode(data)

    def _delete_session(self, store_id: str) -> None:
        self._store.drop_session(store_id)

    def _upsert_session(self, session_lifetime: timedelta, session: ServerSideSession, store_id: str) -> None:
        self._store.put_session(store_id, self.serializer.encode(session), int(session_lifetime.total_seconds()))

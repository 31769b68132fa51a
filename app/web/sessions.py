"""Sessions of the site, in the store. The API and anonymous readers have none."""

from datetime import timedelta
from typing import Any

import msgspec
import structlog
from flask import Flask, Request, Response, request, session
from flask_session.base import ServerSideSession, ServerSideSessionInterface

from app.redis.store import Store, StoreUnavailableError
from app.web.security_headers import PRIVATE

log = structlog.get_logger(__name__)

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# Paths that never have a session, even if the client sends a cookie.
WITHOUT_SESSION = ("/api/", "/static/", "/livez", "/readyz", "/metrics")


def refuse_forms_without_session() -> None:
    """If the session store is down, answer 503 instead of a misleading CSRF error."""
    if (
        isinstance(session, NoSession)
        and request.method not in SAFE_METHODS
        and not request.path.startswith(WITHOUT_SESSION)
    ):
        raise StoreUnavailableError("sessions unavailable")


class NoSession(ServerSideSession):
    """Placeholder for a missing session: it is never saved and never sets a cookie."""


class StoreSessionInterface(ServerSideSessionInterface):
    """Flask-Session with the application's store.

    It reads only msgpack. Flask-Session's own serializer falls back to pickle, which would run code that an attacker
    wrote to the store.
    """

    def __init__(self, app: Flask, store: Store) -> None:
        super().__init__(app, key_prefix="session:", permanent=True)
        self._store = store

    def open_session(self, app: Flask, request: Request) -> ServerSideSession:
        """Return the request's session, or a placeholder if the path has none or the store is down."""
        if not request.path.startswith(WITHOUT_SESSION):
            try:
                return super().open_session(app, request)
            except StoreUnavailableError as error:
                # Continue as an anonymous reader. The cookie is valid again when the store is back.
                log.warning("sessions unavailable", error=str(error))
        return NoSession(permanent=self.permanent)

    def save_session(self, app: Flask, session: ServerSideSession, response: Response) -> None:
        """Save a changed session and set its cookie. Such a page, or one with a form or a cookie, is private."""
        if not isinstance(session, NoSession):
            super().save_session(app, session, response)
        # Not in an `after_request` function: Flask calls those before this one. A form stores its CSRF token in the
        # session, or in the placeholder.
        if session.keys() - {"_permanent"} or "Set-Cookie" in response.headers:
            response.headers["Cache-Control"] = PRIVATE

    def _retrieve_session_data(self, store_id: str) -> dict[str, Any] | None:
        data = self._store.get_session(store_id)
        try:
            return None if data is None else msgspec.msgpack.decode(data, type=dict[str, Any])
        except msgspec.DecodeError:
            log.warning("session cannot be decoded, starting a new one")
            return {}

    def _delete_session(self, store_id: str) -> None:
        self._store.drop_session(store_id)

    def _upsert_session(self, session_lifetime: timedelta, session: ServerSideSession, store_id: str) -> None:
        self._store.put_session(store_id, msgspec.msgpack.encode(dict(session)), int(session_lifetime.total_seconds()))

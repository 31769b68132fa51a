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


class SessionEndedError(Exception):
    """The session was deleted while the request ran."""


class StoredSession(ServerSideSession):
    """A session, with the ID under which the store has it. A new session has none."""

    stored_sid: str | None = None


class NoSession(StoredSession):
    """Placeholder for a missing session: it is never saved and never sets a cookie."""


class StoreSessionInterface(ServerSideSessionInterface):
    """Flask-Session with the application's store.

    It reads only msgpack. Flask-Session's own serializer falls back to pickle, which would run code that an attacker
    wrote to the store.
    """

    session_class = StoredSession

    def __init__(self, app: Flask, store: Store) -> None:
        super().__init__(app, key_prefix="session:", permanent=True)
        self._store = store

    def open_session(self, app: Flask, request: Request) -> StoredSession:
        """Return the request's session, or a placeholder if the path has none or the store is down."""
        if not request.path.startswith(WITHOUT_SESSION):
            try:
                opened: StoredSession = super().open_session(app, request)
                # Otherwise the cookie's session is not in the store, so this one got a new ID.
                if opened.sid == request.cookies.get(app.config["SESSION_COOKIE_NAME"]):
                    opened.stored_sid = opened.sid
                return opened
            except StoreUnavailableError as error:
                # Continue as an anonymous reader. The cookie is valid again when the store is back.
                log.warning("sessions unavailable", error=str(error))
        return NoSession(permanent=self.permanent)

    def save_session(self, app: Flask, session: StoredSession, response: Response) -> None:
        """Save a changed session and set its cookie. Such a page, or one with a form or a cookie, is private."""
        if not isinstance(session, NoSession):
            try:
                super().save_session(app, session, response)
            except SessionEndedError:
                # Another request has logged the user out. Writing the session back would undo that.
                log.info("session has ended, its changes are dropped")
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

    def _upsert_session(self, session_lifetime: timedelta, session: StoredSession, store_id: str) -> None:
        content, seconds = msgspec.msgpack.encode(dict(session)), int(session_lifetime.total_seconds())
        if session.stored_sid != session.sid:
            self._store.put_session(store_id, content, seconds)
        elif not self._store.replace_session(store_id, content, seconds):
            raise SessionEndedError

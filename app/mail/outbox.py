"""Letters as workers see them: claimed, written for the account that the address has now, handed to the relay.

A letter to an address without an account is dropped here, long after whoever asked for it got an answer: they learn nothing from it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

import structlog
from flask import Flask, current_app
from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.orm import Session

from app.accounts import tokens, users
from app.database.models import Mail, User, UtcDateTime, now
from app.extensions import db
from app.mail.relay import MailUrl, RefusedError

log = structlog.get_logger(__name__)

Transport = Callable[[EmailMessage], None]

CONFIRM = tokens.CONFIRM
RESET = tokens.RESET
EXISTS = "exists"
PASSWORD_CHANGED = "password_changed"
KEPT = timedelta(days=30)
# How long after it was asked for a letter is worth sending.
LIVES = tokens.LIVES | {EXISTS: tokens.LIVES[CONFIRM], PASSWORD_CHANGED: KEPT}
AT_ONCE = 100

# One statement: of two workers with the same letter one finds nothing, whether the other has sent it or is about to.
_WAITING = (
    select(Mail.id).where(Mail.id == bindparam("letter"), Mail.sent_at.is_(None)).with_for_update(skip_locked=True)
)
CLAIM = (
    update(Mail)
    .where(Mail.id == _WAITING.scalar_subquery())
    .values(sent_at=bindparam("moment", type_=UtcDateTime))
    .returning(Mail.id, Mail.kind, Mail.recipient, Mail.created_at)
    .execution_options(synchronize_session=False)
)


def init_app(app: Flask) -> None:
    """Choose how letters leave: by a relay, in development to the console, and otherwise not at all."""
    transport: Transport | None = None
    if url := app.config["MAIL_URL"]:
        transport = MailUrl.parse(url).send
    elif app.config["ENVIRONMENT"] == "development":
        transport = show
    app.extensions["mail"] = transport


def send(letter_id: int) -> bool:
    """Send a letter unless it was sent; return whether it left. Raise RelayError or DeferredError where it has to wait."""
    return db.write(lambda session: _send(session, letter_id))


def unsent(session: Session, *, before: datetime) -> list[int]:
    """Return letters of before a time that wait."""
    waiting = select(Mail.id).where(Mail.sent_at.is_(None), Mail.created_at < before)
    return list(session.scalars(waiting.order_by(Mail.created_at).limit(AT_ONCE)))


def forget(session: Session) -> None:
    """Forget the letters of long ago."""
    session.execute(delete(Mail).where(Mail.created_at < now() - KEPT))


def compose(letter_id: int, kind: str, user: User, created_at: datetime) -> EmailMessage:
    """Write a letter to a user."""
    settings = current_app.config
    link = f"{settings['SITE_URL']}/auth/{kind}/{tokens.make(kind, user)}" if kind in tokens.LIVES else ""
    # Of the user it says nothing: who signs up with somebody else's address must not choose what the letter tells them.
    template = current_app.jinja_env.get_template(f"mail/{kind}.txt")
    text = template.render(site_name=settings["SITE_NAME"], site_url=settings["SITE_URL"], link=link)
    subject, _, content = text.partition("\n")
    sender = Address(display_name=settings["SITE_NAME"], addr_spec=settings["MAIL_FROM"])
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    try:
        message["To"] = Address(addr_spec=user.email)
    except (ValueError, MessageError):
        raise RefusedError("no relay knows such an address") from None
    message["Subject"] = subject
    message["Date"] = format_datetime(now())
    # The same for a letter that is sent again, because the database was lost before it noted that it had been sent.
    message["Message-ID"] = f"<{created_at:%Y%m%d%H%M%S}.{letter_id}@{sender.domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(content.lstrip("\n"))
    return message


def show(message: EmailMessage) -> None:
    """Print a letter, so that whoever develops can follow its link."""
    print(f"\nTo: {message['To']}\nSubject: {message['Subject']}\n\n{message.get_content()}", flush=True)


def _send(session: Session, letter_id: int) -> bool:
    transport: Transport | None = current_app.extensions["mail"]
    if transport is None:
        return False
    # Claimed first, handed over last: all that can still fail is the commit, and that is never repeated.
    row = session.execute(CLAIM, {"letter": letter_id, "moment": now()}).one_or_none()
    if row is None:
        return False
    user = _addressee(session, row.kind, row.recipient)
    if user is None or now() - row.created_at > LIVES[row.kind]:
        log.info(
            "letter dropped", letter=letter_id, kind=row.kind, reason="no addressee" if user is None else "too old"
        )
        return False
    try:
        transport(compose(row.id, row.kind, user, row.created_at))
    except RefusedError as error:
        log.warning("letter refused", letter=letter_id, kind=row.kind, reason=str(error))
        return False
    log.info("letter sent", letter=letter_id, kind=row.kind)
    return True


def _addressee(session: Session, kind: str, recipient: str) -> User | None:
    user = users.find_user(session, recipient)
    return user if user and user.is_active and not (kind == CONFIRM and user.confirmed_at) else None

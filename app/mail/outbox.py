"""The outbox: workers claim an e-mail, compose it for the account that the address has now, and send it.

An e-mail to an address without an account is dropped here and not in the request, so that nobody can find out which
addresses have an account.
"""

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
from app.jobs import celery_app
from app.mail.relay import MailUrl, RefusedError

log = structlog.get_logger(__name__)

Transport = Callable[[EmailMessage], None]

CONFIRM = tokens.CONFIRM
EXISTS = "exists"
PASSWORD_CHANGED = "password_changed"
RETENTION = timedelta(days=30)
# An e-mail that is older than this is not sent any more.
LIFETIMES = tokens.LIFETIMES | {EXISTS: tokens.LIFETIMES[CONFIRM], PASSWORD_CHANGED: RETENTION}
BATCH_SIZE = 100

# One statement, so that only one of two workers sends an e-mail. With SKIP LOCKED, the other does not wait.
_WAITING = (
    select(Mail.id).where(Mail.id == bindparam("email"), Mail.sent_at.is_(None)).with_for_update(skip_locked=True)
)
CLAIM = (
    update(Mail)
    .where(Mail.id == _WAITING.scalar_subquery())
    .values(sent_at=bindparam("moment", type_=UtcDateTime))
    .returning(Mail.id, Mail.kind, Mail.recipient, Mail.created_at)
    .execution_options(synchronize_session=False)
)


def init_app(app: Flask) -> None:
    """Choose the transport of e-mails: a relay, the console in development, otherwise none."""
    transport: Transport | None = None
    if url := app.config["MAIL_URL"]:
        transport = MailUrl.parse(url).send
    elif app.config["ENVIRONMENT"] == "development":
        transport = show
    app.extensions["mail"] = transport


def enabled() -> bool:
    """Return whether the application can send e-mails: production without MAIL_URL cannot."""
    return current_app.extensions["mail"] is not None


def queue(session: Session, kind: str, recipient: str) -> Mail:
    """Add an e-mail to the outbox in the transaction that causes it. The normalised address may have no account."""
    if kind not in LIFETIMES:
        raise LookupError(f"unknown kind of e-mail {kind!r}; known are: {', '.join(LIFETIMES)}")
    email = Mail(kind=kind, recipient=recipient)
    session.add(email)
    session.flush()
    return email


def deliver(email_id: int) -> None:
    """Send a queued e-mail by a worker, after the commit. If no broker accepts the task, a periodic task sends it."""
    celery_app.send("send_email", email_id)


def send(email_id: int) -> bool:
    """Send an e-mail that was not sent yet; return whether it was sent.

    Raise RelayError or DeferredError if it must wait.
    """
    return db.write(lambda session: _send(session, email_id))


def unsent(session: Session, *, before: datetime) -> list[int]:
    """Return e-mails from before a time that were not sent."""
    waiting = select(Mail.id).where(Mail.sent_at.is_(None), Mail.created_at < before)
    return list(session.scalars(waiting.order_by(Mail.created_at).limit(BATCH_SIZE)))


def delete_old(session: Session) -> None:
    """Delete e-mails that are older than a month."""
    session.execute(delete(Mail).where(Mail.created_at < now() - RETENTION))


def compose(email_id: int, kind: str, user: User, created_at: datetime) -> EmailMessage:
    """Compose an e-mail to a user."""
    settings = current_app.config
    link = f"{settings['SITE_URL']}/auth/{kind}/{tokens.make(kind, user)}" if kind in tokens.LIFETIMES else ""
    # No names in the text: a stranger who signs up with somebody else's address must not choose what its owner reads.
    template = current_app.jinja_env.get_template(f"mail/{kind}.txt")
    text = template.render(site_name=settings["SITE_NAME"], site_url=settings["SITE_URL"], link=link)
    subject, _, content = text.partition("\n")
    sender = Address(display_name=settings["SITE_NAME"], addr_spec=settings["MAIL_FROM"])
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    try:
        message["To"] = Address(addr_spec=user.email)
    except (ValueError, MessageError):
        raise RefusedError("the address is not valid in an e-mail header") from None
    message["Subject"] = subject
    message["Date"] = format_datetime(now())
    # The ID stays the same if the e-mail is sent again, which happens if the commit after sending fails.
    message["Message-ID"] = f"<{created_at:%Y%m%d%H%M%S}.{email_id}@{sender.domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(content.lstrip("\n"))
    return message


def show(message: EmailMessage) -> None:
    """Print an e-mail, so that developers can follow its link."""
    print(f"\nTo: {message['To']}\nSubject: {message['Subject']}\n\n{message.get_content()}", flush=True)


def _send(session: Session, email_id: int) -> bool:
    transport: Transport | None = current_app.extensions["mail"]
    if transport is None:
        return False
    # Sending is the last step, so that only the commit can fail after it, and a commit is never repeated.
    row = session.execute(CLAIM, {"email": email_id, "moment": now()}).one_or_none()
    if row is None:
        return False
    user = _recipient(session, row.kind, row.recipient)
    if user is None or now() - row.created_at > LIFETIMES[row.kind]:
        log.info(
            "e-mail dropped", email_id=email_id, kind=row.kind, reason="no recipient" if user is None else "too old"
        )
        return False
    try:
        transport(compose(row.id, row.kind, user, row.created_at))
    except RefusedError as error:
        log.warning("e-mail refused", email_id=email_id, kind=row.kind, reason=str(error))
        return False
    log.info("e-mail sent", email_id=email_id, kind=row.kind)
    return True


def _recipient(session: Session, kind: str, recipient: str) -> User | None:
    user = users.find_user(session, recipient)
    return user if user and user.is_active and not (kind == CONFIRM and user.confirmed_at) else None

"""The tables and their indexes."""

from datetime import UTC, datetime
from typing import Any

from flask_login import UserMixin
from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    TypeDecorator,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

TITLE_LENGTH = 200
NAME_LENGTH = 80
EMAIL_LENGTH = 254

# SQLite generates ids for INTEGER keys only.
Id = BigInteger().with_variant(Integer, "sqlite")
StringList = JSON().with_variant(JSONB, "postgresql")


def now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)


class UtcDateTime(TypeDecorator[datetime]):
    """A timestamp in UTC. SQLite stores no time zone, so this type removes and restores it."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert to UTC before storing."""
        utc = value.astimezone(UTC) if value else None
        return utc.replace(tzinfo=None) if utc and dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Set the time zone after loading."""
        aware = value.replace(tzinfo=UTC) if value and dialect.name == "sqlite" else value
        return aware.astimezone(UTC) if aware else None


class Base(DeclarativeBase):
    """Base of the tables. Its naming convention gives constraints the names that migrations use."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class User(UserMixin, Base):
    """A user who can log in and write articles."""

    __tablename__ = "account"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    # Normalised by accounts.users.normalise_email.
    email: Mapped[str] = mapped_column(String(EMAIL_LENGTH), unique=True)
    name: Mapped[str] = mapped_column(String(NAME_LENGTH))
    password_hash: Mapped[str] = mapped_column(String(200))
    is_admin: Mapped[bool] = mapped_column(default=False)
    is_active: Mapped[bool] = mapped_column(default=True)
    # When the user confirmed the address. Until then log-in is refused.
    confirmed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # Sessions store this number. Increasing it ends all sessions of the user.
    session_epoch: Mapped[int] = mapped_column(default=0, server_default="0")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)

    def get_id(self) -> str:
        """Return the value that a session stores. `auth.load_user` reads it."""
        return f"{self.id}.{self.session_epoch}"


class ApiKey(Base):
    """An API key of a user. Only a hash of its secret is stored."""

    __tablename__ = "api_key"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(NAME_LENGTH))
    # The public part, by which the application finds the key.
    prefix: Mapped[str] = mapped_column(String(16), unique=True)
    # Hexadecimal SHA-256 of the secret part. The secret is random, so a slow hash would add no protection.
    secret_hash: Mapped[str] = mapped_column(String(64))
    scopes: Mapped[list[str]] = mapped_column(StringList)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    user: Mapped[User] = relationship(lazy="raise")


class Article(Base):
    """A published article."""

    __tablename__ = "article"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    author_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    title: Mapped[str] = mapped_column(String(TITLE_LENGTH))
    content: Mapped[str] = mapped_column(Text)
    summary: Mapped[str] = mapped_column(Text, default="")
    keywords: Mapped[list[str]] = mapped_column(StringList, default=list)
    views: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    published_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    # The last change of title or content. The version counts these changes, for ETag and If-Match.
    updated_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    version: Mapped[int] = mapped_column(default=1, server_default="1")
    # When a worker wrote summary and keywords.
    processed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # Hexadecimal SHA-256 of the entry's id in its feed. It keeps a repeated import from adding the article twice.
    entry_hash: Mapped[str | None] = mapped_column(String(64))

    author: Mapped[User] = relationship(lazy="raise")


# The order of the pages. The id breaks ties between articles of the same time.
Index("ix_article_newest", Article.published_at.desc(), Article.id.desc())
Index("ix_article_author_newest", Article.author_id, Article.published_at.desc(), Article.id.desc())
Index("ix_article_popular", Article.views.desc(), Article.id.desc())
Index(
    "ix_article_keywords", Article.keywords, postgresql_using="gin", postgresql_ops={"keywords": "jsonb_path_ops"}
).ddl_if(dialect="postgresql")
# This index is nearly empty: it lists only articles that wait for their task.
UNPROCESSED = Article.processed_at.is_(None)
Index("ix_article_unprocessed", Article.published_at, postgresql_where=UNPROCESSED, sqlite_where=UNPROCESSED)
IMPORTED = Article.entry_hash.is_not(None)
Index("ix_article_entry_hash", Article.entry_hash, unique=True, postgresql_where=IMPORTED, sqlite_where=IMPORTED)


class ViewBatch(Base):
    """A batch of views that has been added. It is written together with the counts, so that no batch is added twice."""

    __tablename__ = "view_batch"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    flushed_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now, server_default=func.now(), index=True)


class IdempotentRequest(Base):
    """The response to a POST with an Idempotency-Key, written in the transaction of the POST. A retry returns it."""

    __tablename__ = "idempotent_request"

    # Hexadecimal SHA-256 of the caller and the key.
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    # Hexadecimal SHA-256 of the request. The same key with a different request is refused.
    request_hash: Mapped[str] = mapped_column(String(64))
    status: Mapped[int]
    location: Mapped[str] = mapped_column(String(200), default="")
    body: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now, index=True)


class Mail(Base):
    """An e-mail in the outbox. It is written in the transaction that causes it, and a worker sends it.

    It stores only a kind and an address. The worker looks up the account and creates the link. So no secret is stored,
    and requesting an e-mail takes the same time for an unknown address as for a known one.
    """

    __tablename__ = "mail"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    recipient: Mapped[str] = mapped_column(String(EMAIL_LENGTH))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


UNSENT = Mail.sent_at.is_(None)
Index("ix_mail_unsent", Mail.created_at, postgresql_where=UNSENT, sqlite_where=UNSENT)


class FailedTask(Base):
    """A dead letter: a task that failed permanently. Administrators can send it again."""

    __tablename__ = "failed_task"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    # Celery's id of the task.
    task_id: Mapped[str] = mapped_column(String(64), unique=True)
    task: Mapped[str] = mapped_column(String(100))
    arguments: Mapped[list[Any]] = mapped_column(JSON().with_variant(JSONB, "postgresql"), default=list)
    error: Mapped[str] = mapped_column(Text)
    request_id: Mapped[str] = mapped_column(String(64), default="")
    failed_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now, index=True)
    requeued_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

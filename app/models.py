"""The tables, with every index that a query of the application uses."""

from __future__ import annotations

from datetime import UTC, datetime

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

# SQLite numbers rows itself only where the key is an INTEGER.
Id = BigInteger().with_variant(Integer, "sqlite")
StringList = JSON().with_variant(JSONB, "postgresql")


def now() -> datetime:
    """Return the present, with its time zone."""
    return datetime.now(UTC)


class UtcDateTime(TypeDecorator[datetime]):
    """A point in time. SQLite keeps no time zone, so that UTC is stored and restored here."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Store UTC."""
        if value is None:
            return None
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Restore the time zone."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


class Base(DeclarativeBase):
    """Names constraints, so that migrations can name them too."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class User(UserMixin, Base):
    """Somebody who can log in, and the author of articles."""

    __tablename__ = "account"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    # Lower case: see accounts.normalise_email.
    email: Mapped[str] = mapped_column(String(EMAIL_LENGTH), unique=True)
    name: Mapped[str] = mapped_column(String(NAME_LENGTH))
    password_hash: Mapped[str] = mapped_column(String(200))
    is_admin: Mapped[bool] = mapped_column(default=False)
    is_active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)


class ApiKey(Base):
    """A program's right to act for a user. Only a hash of the secret is kept."""

    __tablename__ = "api_key"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("account.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(NAME_LENGTH))
    # The public part, by which the key is found.
    prefix: Mapped[str] = mapped_column(String(16), unique=True)
    # Hexadecimal SHA-256 of the secret part: it is random, so that a slow hash would protect nothing.
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
    # When a worker has written summary and keywords.
    processed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    author: Mapped[User] = relationship(lazy="raise")


# The order of the pages; id decides between articles of the same moment.
Index("ix_article_newest", Article.published_at.desc(), Article.id.desc())
Index("ix_article_author_newest", Article.author_id, Article.published_at.desc(), Article.id.desc())
Index("ix_article_popular", Article.views.desc(), Article.id.desc())
# Nearly empty: what a lost task has left behind.
UNPROCESSED = Article.processed_at.is_(None)
Index("ix_article_unprocessed", Article.published_at, postgresql_where=UNPROCESSED, sqlite_where=UNPROCESSED)


class ViewBatch(Base):
    """A batch of counted views that is in the database: written with the counts, so that none is added twice."""

    __tablename__ = "view_batch"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    flushed_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now, server_default=func.now(), index=True)

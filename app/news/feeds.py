"""Articles from RSS and Atom feeds: each entry once, as plain text."""

from __future__ import annotations

import calendar
import hashlib
import io
import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from html import unescape
from typing import Any

import feedparser
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.database.models import TITLE_LENGTH, Article, now
from app.extensions import db
from app.jobs.celery_app import send
from app.news import articles
from app.news.articles import LONGEST_CONTENT
from app.web import plaintext

# Elements whose text nobody reads, and those before and after which a paragraph ends.
_UNSEEN = frozenset(
    {
        "script",
        "style",
        "template",
        "noscript",
        "iframe",
        "object",
        "svg",
        "math",
        "head",
        "title",
        "textarea",
        "select",
    }
)
_BLOCKS = frozenset(
    {
        "address",
        "article",
        "aside",
        "blockquote",
        "br",
        "dd",
        "div",
        "dl",
        "dt",
        "figcaption",
        "figure",
        "footer",
        "h1",
        "h2",
        "h3",
        "h4",
    }
    | {"h5", "h6", "header", "hr", "li", "main", "nav", "ol", "p", "pre", "section", "table", "td", "th", "tr", "ul"}
)
# Comments, declarations and tags. Each matches wherever it begins, so that the time is in proportion to the length; html.parser's is not.
_MARKUP = re.compile(
    r"<!--.*?(?:-->|\Z)|<[!?][^>]*(?:>|\Z)|<(?P<closing>/?)(?P<tag>[a-zA-Z][^\s/>]*)[^>]*(?:>|\Z)", re.DOTALL
)
_ENTITY = re.compile(rb"<!ENTITY", re.IGNORECASE)


class FeedError(Exception):
    """A document that no articles can be made of; the message says why."""


@dataclass(frozen=True)
class Entry:
    """An entry of a feed that can be an article."""

    hash: str
    title: str
    content: str
    published_at: datetime


@dataclass(frozen=True)
class Imported:
    """What became of a feed's entries."""

    created: int
    known: int
    unusable: int


def entries(document: bytes) -> list[Entry | None]:
    """Return a feed's entries; None stands for one without a title or text."""
    # A feed needs none, and a few lines of them can unfold to gigabytes.
    if _ENTITY.search(document):
        raise FeedError("the document declares entities, which no feed needs")
    # Parsed from memory: given text, the parser would take it for an address and fetch it.
    feed = feedparser.parse(io.BytesIO(document), sanitize_html=False, resolve_relative_uris=False)
    if not feed.entries and (feed.bozo or not feed.get("version")):
        reason = f": {feed.bozo_exception}" if feed.bozo else ""
        raise FeedError(f"the document is neither RSS nor Atom{reason}")
    return [_entry(entry, feed.get("version", "")) for entry in feed.entries]


def load(document: bytes, *, author_id: int, limit: int) -> Imported:
    """Publish the first entries of a feed that are not known yet. Whoever repeats it adds nothing."""
    found = entries(document)[:limit]
    usable = {entry.hash: entry for entry in found if entry}
    try:
        created = db.write(lambda session: _create(session, list(usable.values()), author_id))
    except IntegrityError as error:
        raise FeedError("somebody else has just imported these entries; nothing was changed") from error
    if created:
        articles.outdate(*created)
    for article_id in created:
        send("process_new_article", article_id)
    return Imported(len(created), len(usable) - len(created), found.count(None))


def plain(html: str) -> str:
    """Return the paragraphs that a reader of HTML sees, as text."""
    parts: list[str] = []
    unseen = ""
    end = 0
    for match in _MARKUP.finditer(html):
        if not unseen:
            # The text's own line ends mean nothing.
            parts.append(html[end : match.start()].replace("\n", " "))
        end = match.end()
        tag = (match["tag"] or "").lower()
        if unseen:
            unseen = "" if match["closing"] and tag == unseen else unseen
        elif tag in _UNSEEN:
            unseen = "" if match["closing"] else tag
        elif tag in _BLOCKS:
            parts.append("\n")
    if not unseen:
        parts.append(html[end:].replace("\n", " "))
    # References last: what they stand for is never a tag.
    paragraphs = (" ".join(paragraph.split()) for paragraph in unescape("".join(parts)).split("\n"))
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph)


def _create(session: Session, usable: list[Entry], author_id: int) -> list[int]:
    hashes = [entry.hash for entry in usable]
    known = set(session.scalars(select(Article.entry_hash).where(Article.entry_hash.in_(hashes))))
    created = []
    for entry in usable:
        if entry.hash not in known:
            article = articles.create(
                session, author_id=author_id, title=entry.title, content=entry.content, published_at=entry.published_at
            )
            article.entry_hash = entry.hash
            created.append(article.id)
    return created


def _entry(entry: Any, version: str) -> Entry | None:
    title = _shortened(" ".join(_text(entry.get("title_detail"), version).split()), TITLE_LENGTH, one_line=True)
    # Some feeds put all of an article into the summary, some into the content.
    texts = [_text(detail, version) for detail in [entry.get("summary_detail"), *entry.get("content", [])]]
    content = _shortened(max(texts, key=len), LONGEST_CONTENT)
    faulty = plaintext.fault(title, longest=TITLE_LENGTH, one_line=True) or plaintext.fault(
        content, longest=LONGEST_CONTENT
    )
    if faulty:
        return None
    # Without an id, and without a link, it is known by what it says.
    identity = entry.get("id") or entry.get("link") or f"{title}\n{content}"
    return Entry(hashlib.sha256(identity.encode("utf-8", "replace")).hexdigest(), title, content, _published(entry))


def _text(detail: Any, version: str) -> str:
    """Return what a text says. Atom tells what is HTML; in RSS everything may be."""
    if not detail:
        return ""
    value: str = detail.get("value", "")
    return value if version.startswith("atom") and detail.get("type") == "text/plain" else plain(value)


def _published(entry: Any) -> datetime:
    parsed = entry.get("published_parsed") or entry.get("updated_parsed")
    try:
        moment = datetime.fromtimestamp(calendar.timegm(parsed), UTC) if parsed else now()
    except (ValueError, OverflowError, OSError):
        moment = now()
    # A date in the future would keep it on top of every page.
    return min(moment, now())


def _shortened(text: str, longest: int, *, one_line: bool = False) -> str:
    """Return a text without what no article may have, cut between words."""
    unwanted = plaintext.BIDI_CONTROLS if one_line else frozenset()
    kept = "".join(
        character
        for character in text
        if character == "\n" or (unicodedata.category(character) not in {"Cc", "Cs"} and character not in unwanted)
    )
    kept = kept.strip()
    return kept if len(kept) <= longest else kept[: longest - 1].rsplit(None, 1)[0] + "…"

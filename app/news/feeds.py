"""Articles from RSS and Atom feeds: each entry once, as plain text."""

import calendar
import hashlib
import io
import re
import unicodedata
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from xml.parsers import expat

import feedparser
from selectolax.lexbor import LexborHTMLParser
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.database.models import TITLE_LENGTH, Article, now
from app.extensions import db
from app.jobs.celery_app import send
from app.news import articles, text
from app.news.articles import MAX_ARTICLE_LENGTH
from app.web import plaintext

# Elements whose text readers do not see, and elements that begin and end a paragraph.
_INVISIBLE = "script, style, template, noscript, iframe, object, svg, math, title, textarea, select"
_BLOCKS = (
    "address, article, aside, blockquote, br, dd, div, dl, dt, figcaption, figure, footer, h1, h2, h3, h4, h5, h6, "
    "header, hr, li, main, nav, ol, p, pre, section, table, td, th, tr, ul"
)
# The time to parse HTML grows with the square of the number of nested tags: 100,000 tags take over a minute, 5,000 take
# 0.1 seconds.
MAX_TAGS = 5_000
# feedparser's time grows with the square of an element's attributes, and with the product of namespaces and elements.
MAX_ATTRIBUTES = 200
# Comments, elements without markup inside, and tags with their attributes. Lexbor's time grows with the square of a
# tag's attributes. This expression needs linear time, because no part of it reads a character again.
_MARKUP = re.compile(
    r"""<!--(?:-?>|.*?(?:--!?>|\Z))
    |<(?P<raw>script|style|title|textarea|noscript|iframe|noembed|noframes)(?=[\s/>]).*?(?=</(?P=raw)[\s/>]|\Z)
    |<(?P<tag>/?[a-z][^\s/>]*+)
        (?:[\s/]++|[^\s/>][^\s/>=]*+(?:\s*+=\s*+(?:"[^"]*+"|'[^']*+'|[^\s"'>][^\s>]*+))?+)*+>?""",
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
_ENTITY = re.compile(rb"<!ENTITY", re.IGNORECASE)


class FeedError(Exception):
    """A document that is not a usable feed; the message gives the reason."""


@dataclass(frozen=True)
class Entry:
    """An entry of a feed that can become an article."""

    hash: str
    title: str
    content: str
    published_at: datetime


@dataclass(frozen=True)
class Imported:
    """How many entries of a feed were published now, were published before, or cannot become an article."""

    created: int
    known: int
    unusable: int


def entries(document: bytes) -> list[Entry | None]:
    """Return a feed's entries; None stands for an entry without a title or text."""
    # Check the text that feedparser parses. It knows every encoding, such as UTF-16.
    with suppress(LookupError, ValueError):
        document = feedparser.encodings.convert_to_utf8({}, document, feedparser.FeedParserDict())
    _check_attributes(document)
    # A few nested entities can expand to gigabytes.
    if _ENTITY.search(document):
        raise FeedError("the document declares entities, which no feed needs")
    # BytesIO, because feedparser may treat a string as a URL and download it.
    feed = feedparser.parse(io.BytesIO(document), sanitize_html=False, resolve_relative_uris=False)
    if not feed.entries and (feed.bozo or not feed.get("version")):
        reason = f": {feed.bozo_exception}" if feed.bozo else ""
        raise FeedError(f"the document is neither RSS nor Atom{reason}")
    return [_entry(entry, feed.get("version", "")) for entry in feed.entries]


def load(document: bytes, *, author_id: int, limit: int) -> Imported:
    """Publish the first `limit` entries of a feed, except those that are already published."""
    found = entries(document)[:limit]
    usable = {entry.hash: entry for entry in found if entry}
    try:
        created = db.write(lambda session: _create(session, list(usable.values()), author_id))
    except IntegrityError as error:
        raise FeedError(
            "another import has just added the same entries; nothing was changed, so repeat the import"
        ) from error
    if created:
        articles.invalidate(*created)
    for article_id in created:
        send("process_new_article", article_id)
    return Imported(len(created), len(usable) - len(created), found.count(None))


def plain(html: str) -> str:
    """Return the visible text of HTML, with an empty line between paragraphs."""
    html = _MARKUP.sub(lambda match: f"<{match['tag']}>" if match["tag"] else "", html)
    tree = LexborHTMLParser("<".join(html.replace("\n", " ").split("<", MAX_TAGS)[:MAX_TAGS]))
    if tree.body is None:
        return ""
    for node in tree.css(_INVISIBLE):
        node.decompose()
    for node in tree.css(_BLOCKS):
        node.insert_before("\n")
        node.insert_after("\n")
    paragraphs = (" ".join(paragraph.split()) for paragraph in tree.body.text().split("\n"))
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph)


def _check_attributes(document: bytes) -> None:
    prefixes: set[str] = set()

    def start(name: str, attributes: dict[str, str]) -> None:
        prefixes.update(key for key in attributes if key.startswith("xmlns"))
        if max(len(attributes), len(prefixes)) > MAX_ATTRIBUTES:
            raise FeedError(f"the element {name[:40]} has more than {MAX_ATTRIBUTES} attributes, which no feed needs")

    parser = expat.ParserCreate("utf-8")
    parser.StartElementHandler = start
    # The readable part of a broken feed is imported, and feedparser stops to read it as XML at the same place.
    with suppress(expat.ExpatError):
        parser.Parse(feedparser.sanitizer.replace_doctype(document)[1], True)


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
    title = _clean(" ".join(_text(entry.get("title_detail"), version).split()), TITLE_LENGTH, one_line=True)
    # Feeds put the full article into either the summary or the content.
    texts = [_text(detail, version) for detail in [entry.get("summary_detail"), *entry.get("content", [])]]
    content = _clean(max(texts, key=len), MAX_ARTICLE_LENGTH)
    faulty = plaintext.fault(title, max_length=TITLE_LENGTH, one_line=True) or plaintext.fault(
        content, max_length=MAX_ARTICLE_LENGTH
    )
    if faulty:
        return None
    # An entry without an id and a link is recognised by its text.
    identity = entry.get("id") or entry.get("link") or f"{title}\n{content}"
    return Entry(hashlib.sha256(identity.encode("utf-8", "replace")).hexdigest(), title, content, _published(entry))


def _text(detail: Any, version: str) -> str:
    """Return a text without HTML. Atom declares which texts are HTML. In RSS every text may contain HTML."""
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
    # An article from the future would stay at the top of every list.
    return min(moment, now())


def _clean(content: str, limit: int, *, one_line: bool = False) -> str:
    """Remove the characters that an article must not have, and shorten a text that is too long."""
    unwanted = plaintext.BIDI_CONTROLS if one_line else frozenset()
    kept = "".join(
        character
        for character in content
        if character == "\n" or (unicodedata.category(character) not in {"Cc", "Cs"} and character not in unwanted)
    )
    return text.shorten(kept.strip(), limit)

"""Imported feeds: their entries become articles, and hostile or broken documents do no harm."""

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import Result
from flask.testing import FlaskClient
from sqlalchemy import select

from app.database.models import Article, User, now
from app.extensions import db
from app.news import feeds
from app.news.feeds import FeedError, plain
from tests.unit.app.conftest import body

pytestmark = pytest.mark.usefixtures("app")

RSS = b"""<?xml version="1.0" encoding="utf-8"?>
<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/"><channel><title>Harbour news</title>
<item><guid>urn:1</guid><title>Harbour &amp; wall</title><pubDate>Mon, 02 Nov 2026 10:00:00 +0100</pubDate>
<description>Short.</description>
<content:encoded><![CDATA[<p>The harbour was <b>closed</b>.</p><p>Waves broke over&nbsp;the wall.</p>]]>
</content:encoded></item>
<item><guid>urn:2</guid><title>Bridge open</title>
<description>The bridge is open &lt;b&gt;again&lt;/b&gt;.</description></item>
<item><guid>urn:3</guid><title></title><description>Nothing to call it by.</description></item>
</channel></rss>"""
ATOM = """<?xml version="1.0" encoding="utf-8"?>
<feed xmlns="http://www.w3.org/2005/Atom"><title>Notes</title><id>urn:f</id><updated>2026-11-01T00:00:00Z</updated>
<entry><id>urn:a1</id><title type="text">2 &lt; 3, says Zoë</title><updated>2026-11-01T08:30:00Z</updated>
<content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><h2>Numbers</h2>
<ul><li>one</li><li>two</li></ul></div></content></entry>
<entry><id>urn:a2</id><title>From the future</title>
<updated>2999-01-01T00:00:00Z</updated><summary>Not yet.</summary></entry>
</feed>""".encode()
HOSTILE = b"""<rss version="2.0"><channel><title>x</title><item><guid>urn:h</guid>
<title>&lt;script&gt;alert(1)&lt;/script&gt;Nice &lt;img src=x onerror=alert(1)&gt;title \xe2\x80\xae</title>
<description><![CDATA[<p onclick="alert(1)">Seen.</p><script>alert('unseen')</script><style>p{}</style>
<iframe srcdoc="unseen">unseen
</iframe><a href="javascript:alert(1)">A link</a><!-- unseen -->
<svg><text>unseen</text></svg><p>&lt;b&gt; is a tag.</p>]]></description></item>
</channel></rss>"""


def stored() -> list[Article]:
    return list(db.read(lambda session: list(session.scalars(select(Article).order_by(Article.id)))))


def load(document: bytes, user: User, limit: int = 100) -> tuple[int, int, int]:
    imported = feeds.load(document, author_id=user.id, limit=limit)
    return imported.created, imported.known, imported.unusable


def test_rss_becomes_articles_as_text(user: User, client: FlaskClient) -> None:
    assert load(RSS, user) == (2, 0, 1)
    harbour, bridge = stored()
    assert (harbour.title, harbour.content) == (
        "Harbour & wall",
        "The harbour was closed.\n\nWaves broke over the wall.",
    )
    assert harbour.published_at == datetime(2026, 11, 2, 9, tzinfo=UTC)
    assert bridge.content == "The bridge is open again."
    shown = body(client.get("/api/v1/articles"))["articles"]
    assert [article["title"] for article in shown] == ["Bridge open", "Harbour & wall"]
    assert all(article["summary"] and article["keywords"] for article in shown), "a task must process them"


def test_an_import_is_visible_at_once_without_a_worker(
    user: User, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "send", lambda *_: False)
    assert body(client.get("/api/v1/articles"))["articles"] == []
    load(RSS, user)
    assert len(body(client.get("/api/v1/articles"))["articles"]) == 2


def test_atom_becomes_articles_as_text(user: User) -> None:
    assert load(ATOM, user) == (2, 0, 0)
    numbers, future = stored()
    assert (numbers.title, numbers.content) == ("2 < 3, says Zoë", "Numbers\n\none\n\ntwo")
    assert numbers.published_at == datetime(2026, 11, 1, 8, 30, tzinfo=UTC)
    assert future.published_at <= now(), "an article from the future would stay at the top"


@pytest.mark.parametrize("title", ["&#x200b;", "&#x3164;"])
def test_an_entry_with_an_invisible_title_is_unusable(user: User, title: str) -> None:
    assert load(RSS.replace(b"Bridge open", title.encode()), user) == (1, 0, 2)


def test_a_repeated_import_adds_nothing(user: User) -> None:
    load(RSS, user, limit=1)
    assert load(RSS, user) == (1, 1, 1)
    assert load(RSS, user) == (0, 2, 1)
    assert load(RSS.replace(b"Bridge open", b"Bridge open again"), user) == (0, 2, 1)
    assert len(stored()) == 2


def test_a_duplicate_entry_becomes_one_article(user: User) -> None:
    assert load(RSS.replace(b"urn:2", b"urn:1"), user)[0] == 1


def test_hostile_html_is_removed(user: User) -> None:
    assert load(HOSTILE, user) == (1, 0, 0)
    (article,) = stored()
    assert article.title == "Nice title"
    assert article.content == "Seen.\n\nA link\n\n<b> is a tag."


def test_the_readable_part_of_a_broken_feed_is_imported(user: User) -> None:
    assert load(RSS[: RSS.index(b"<item><guid>urn:3")], user)[0] == 2


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b"", "neither RSS nor Atom"),
        (b"<html><body>Not found</body></html>", "neither RSS nor Atom"),
        (b"\x00\xff\xfe nothing", "neither RSS nor Atom"),
        (b"/etc/passwd", "neither RSS nor Atom"),
        (
            b'<!DOCTYPE x [<!ENTITY a "aaaa"><!entity b "&a;&a;">]><rss version="2.0"><channel/></rss>',
            "declares entities",
        ),
        (
            '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE x [<!ENTITY a "a">]><rss version="2.0"/>'.encode(
                "utf-16"
            ),
            "declares entities",
        ),
        (b'<?xml version="1.0" encoding="utf-7"?>+ADwAIQ-ENTITY a "a"><rss version="2.0"/>', "declares entities"),
    ],
)
def test_a_document_that_is_not_a_feed_is_refused(user: User, document: bytes, reason: str) -> None:
    with pytest.raises(FeedError, match=reason):
        load(document, user)
    assert stored() == []


def test_a_huge_entry_is_cut_between_words(user: User) -> None:
    title, text = b"words " * 1000, b"words " * 50_000
    item = b"<item><guid>urn:big</guid><title>" + title + b"</title><description>" + text + b"</description></item>"
    load(b'<rss version="2.0"><channel><title>x</title>' + item + b"</channel></rss>", user)
    (article,) = stored()
    assert len(article.title) <= 200
    assert len(article.content) <= 100_000
    assert article.title.endswith("words…")
    assert article.content.endswith("words…")


@pytest.mark.parametrize(
    "part",
    ["<", "<!--", "<a href='", "&", "<p>", "</", "<![CDATA[", "<script>", "<a b='x' ", "<div>", "<b></i>", "<i><b><a>"],
)
def test_any_html_is_converted_quickly(part: str) -> None:
    started = time.process_time()
    plain((part * 500_000)[:500_000])
    assert time.process_time() - started < 3, "measured: below 0.5 s"


ATTRIBUTES = " ".join(f'a{number}="x"' for number in range(10_000))
NAMESPACES = " ".join(f'xmlns:a{number}="urn:{number}"' for number in range(10_000))


@pytest.mark.parametrize("attributes", [ATTRIBUTES, NAMESPACES])
def test_a_feed_with_too_many_attributes_is_refused_quickly(attributes: str) -> None:
    started = time.process_time()
    with pytest.raises(FeedError, match="the element item has more than 200 attributes"):
        feeds.entries(
            f'<rss version="2.0"><channel><item {attributes}><title>t</title></item></channel></rss>'.encode()
        )
    assert time.process_time() - started < 1


@pytest.mark.parametrize("end", [">", "", "/>", "<b>", 'b=">" >'])
def test_html_with_many_attributes_is_converted_quickly(end: str) -> None:
    many = " ".join(f"a{number}='>'" for number in range(60_000))
    started = time.process_time()
    plain(f"<p {many} {end}text")
    assert time.process_time() - started < 3


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p a='>' b=\">\" c=d e>one<br/>two</p>", "one\n\ntwo"),
        ("<p title='<b>no</b>'>yes", "yes"),
        ("<a title='<!-- no'>yes<!-- <p -->too", "yestoo"),
        ("<script>if (a<b && '>') {}</script>yes<style>p{}</style >", "yes"),
        ("2 < 3 and <b>4 > 3</b>", "2 < 3 and 4 > 3"),
        ("<TITLE>no</TITLE>yes <p =x ='y'>and yes", "yes\n\nand yes"),
    ],
)
def test_html_keeps_its_visible_text(html: str, text: str) -> None:
    assert plain(html) == text


@pytest.mark.parametrize("document", [RSS, ATOM, HOSTILE])
def test_a_truncated_document_is_a_feed_or_an_error(document: bytes) -> None:
    for length in range(0, len(document), 37):
        with suppress(FeedError):
            feeds.entries(document[:length])


def test_the_command_line_imports_a_file(run: Callable[..., Result], user: User, tmp_path: Path) -> None:
    path = tmp_path / "feed.xml"
    path.write_bytes(RSS)
    first = run("feeds", "import", str(path), "--author", user.email).output
    assert first == "published 2 articles; skipped 0 that were already published and 1 without a title or text\n"
    again = run("feeds", "import", path.as_uri(), "--author", user.email).output
    assert again.startswith("published 0 articles; skipped 2 that were already published")
    nobody = run("feeds", "import", str(path), "--author", "nobody@news.example")
    assert (nobody.exit_code, "there is no user" in nobody.output) == (1, True)
    nonsense = run("feeds", "import", str(path), "--author", "nönsense")
    assert (nonsense.exit_code, "is not an e-mail address" in nonsense.output) == (1, True)
    missing = run("feeds", "import", str(tmp_path / "none"), "--author", user.email)
    assert (missing.exit_code, "No such file" in missing.output) == (1, True)

"""Forms of the desk."""

from __future__ import annotations

from typing import Any, cast

from flask_wtf import FlaskForm
from wtforms import HiddenField, SelectMultipleField, StringField, SubmitField, TextAreaField
from wtforms.widgets import CheckboxInput, ListWidget

from app.accounts import users
from app.database.models import NAME_LENGTH, TITLE_LENGTH
from app.news.articles import LONGEST_CONTENT
from app.web.forms import Usable, trimmed


def _with_newlines(text: str | None) -> str:
    """Return the text with the line ends that were typed: a form sends others."""
    return (text or "").replace("\r\n", "\n").replace("\r", "\n").rstrip()


class ArticleForm(FlaskForm):
    """An article as its author types it."""

    title = StringField("Title", [Usable(TITLE_LENGTH, one_line=True)], filters=[trimmed])
    # `content` is the id of every page's main part.
    content = TextAreaField(
        "Text", [Usable(LONGEST_CONTENT)], filters=[_with_newlines], id="text", render_kw={"rows": 18}
    )
    # What was read before it was changed; see `base`.
    version = HiddenField()
    preview = SubmitField("Preview")

    @property
    def values(self) -> dict[str, Any]:
        """What an article is made of."""
        return {"title": self.title.data, "content": self.content.data}

    @property
    def base(self) -> int:
        """The version that was read. What is no version is one that no article is at."""
        version: str = self.version.data or ""
        return int(version) if version.isdecimal() and len(version) < 10 else 0


class KeyForm(FlaskForm):
    """What an API key is for."""

    name = StringField("Name", [Usable(NAME_LENGTH, one_line=True)], filters=[trimmed])
    scopes = SelectMultipleField(
        "What it may do",
        # Plain strings are what WTForms wants by now; its types do not know yet.
        choices=cast("Any", users.SCOPES),
        option_widget=CheckboxInput(),
        widget=ListWidget(prefix_label=False),
    )

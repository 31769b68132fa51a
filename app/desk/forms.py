"""Forms of the desk."""

from typing import Any, cast

from wtforms import HiddenField, SelectMultipleField, StringField, SubmitField, TextAreaField
from wtforms.widgets import CheckboxInput, ListWidget

from app.accounts import users
from app.database.models import NAME_LENGTH, TITLE_LENGTH
from app.news.articles import MAX_ARTICLE_LENGTH
from app.web.forms import Form, trim, valid_text


def _with_newlines(text: str | None) -> str:
    """Return the text with Unix line ends, because browsers send CRLF."""
    return (text or "").replace("\r\n", "\n").replace("\r", "\n").rstrip()


class ArticleForm(Form):
    """Title and text of an article."""

    title = StringField("Title", [valid_text(TITLE_LENGTH, one_line=True)], filters=[trim])
    # Another ID than the default, because every page already has an element with the ID `content`.
    content = TextAreaField(
        "Text",
        [valid_text(MAX_ARTICLE_LENGTH)],
        filters=[_with_newlines],
        description="Plain text. An empty line starts a new paragraph.",
        id="text",
        render_kw={"rows": 18},
    )
    # The version that the author has edited; see `base`.
    version = HiddenField()
    preview = SubmitField("Preview")

    @property
    def values(self) -> dict[str, Any]:
        """The article's values."""
        return {"title": self.title.data, "content": self.content.data}

    @property
    def base(self) -> int:
        """The version that the author has edited. 0 if the field is not valid, because no article has that version."""
        # Not `data`: without the field, that is the stored version.
        version = str((self.version.raw_data or [""])[0])
        return int(version) if version.isdecimal() and len(version) < 10 else 0


class KeyForm(Form):
    """Name and scopes of an API key."""

    name = StringField(
        "Name",
        [valid_text(NAME_LENGTH, one_line=True)],
        filters=[trim],
        description="The name of the program that will use the key.",
    )
    scopes = SelectMultipleField(
        "What it may do",
        # WTForms accepts plain strings, but its types do not allow them yet.
        choices=cast("Any", users.SCOPES),
        option_widget=CheckboxInput(),
        widget=ListWidget(prefix_label=False),
    )

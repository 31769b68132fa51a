"""The base of all forms, and validators and filters that several of them share."""

from collections.abc import Callable
from typing import Any

from flask import request
from flask_wtf import FlaskForm
from wtforms import Field
from wtforms.validators import ValidationError

from app.web import plaintext


class Form(FlaskForm):
    """A form whose values are text. A plain FlaskForm also takes them from JSON and from uploaded files."""

    class Meta(FlaskForm.Meta):
        """What the form reads."""

        def wrap_formdata(self, form: Any, _formdata: Any) -> Any:
            """Return the fields of the request, or None if no form was sent."""
            return request.form if form.is_submitted() else None


def valid_text(max_length: int, *, one_line: bool = False) -> Callable[[FlaskForm, Field], None]:
    """Accept text that can be stored and shown.

    It does not set `maxlength`, because browsers cut longer text off without a message.
    """

    def check(_form: FlaskForm, field: Field) -> None:
        if fault := plaintext.fault(field.data or "", max_length=max_length, one_line=one_line):
            raise ValidationError(fault)

    return check


def trim(text: str | None) -> str:
    """Remove white space at both ends."""
    return (text or "").strip()

"""Validators and filters that several forms share."""

from collections.abc import Callable

from flask_wtf import FlaskForm
from wtforms import Field
from wtforms.validators import ValidationError

from app.web import plaintext


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

"""Validators and filters that several forms share."""

from flask_wtf import FlaskForm
from wtforms import Field
from wtforms.validators import ValidationError

from app.web import plaintext


class ValidText:
    """Accepts text that can be stored and shown.

    It does not set `maxlength`, because browsers cut longer text off without a message.
    """

    def __init__(self, max_length: int, *, one_line: bool = False) -> None:
        self._max_length, self._one_line = max_length, one_line

    def __call__(self, _form: FlaskForm, field: Field) -> None:
        """Raise ValidationError if the text has a fault."""
        if fault := plaintext.fault(field.data or "", max_length=self._max_length, one_line=self._one_line):
            raise ValidationError(fault)


def trim(text: str | None) -> str:
    """Remove white space at both ends."""
    return (text or "").strip()

"""What the forms of several blueprints have in common."""

from __future__ import annotations

from flask_wtf import FlaskForm
from wtforms import Field
from wtforms.validators import ValidationError

from app.web import plaintext


class Usable:
    """Text that can be kept and shown. No `maxlength`: a browser would cut off what is too long and say nothing."""

    def __init__(self, longest: int, *, one_line: bool = False) -> None:
        self._longest, self._one_line = longest, one_line

    def __call__(self, _form: FlaskForm, field: Field) -> None:
        """Say at the field what is wrong."""
        if fault := plaintext.fault(field.data or "", longest=self._longest, one_line=self._one_line):
            raise ValidationError(fault)


def trimmed(text: str | None) -> str:
    """Return a line without the blanks around it."""
    return (text or "").strip()

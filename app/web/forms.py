"""What the forms of several blueprints have in common."""

from __future__ import annotations

from flask_wtf import FlaskForm
from wtforms import Field
from wtforms.validators import ValidationError

from app.accounts import users
from app.accounts.users import AccountError
from app.web import plaintext


class Usable:
    """Text that can be kept and shown. No `maxlength`: a browser would cut off what is too long and say nothing."""

    def __init__(self, longest: int, *, one_line: bool = False) -> None:
        self._longest, self._one_line = longest, one_line

    def __call__(self, _form: FlaskForm, field: Field) -> None:
        """Say at the field what is wrong."""
        if fault := plaintext.fault(field.data or "", longest=self._longest, one_line=self._one_line):
            raise ValidationError(fault)


def address(_form: FlaskForm, field: Field) -> None:
    """Refuse what is no e-mail address."""
    try:
        users.normalise_email(field.data or "")
    except AccountError:
        raise ValidationError("Must be an e-mail address.") from None


def new_password(_form: FlaskForm, field: Field) -> None:
    """Refuse a password that is too short or too long."""
    try:
        users.check_length(field.data or "")
    except AccountError:
        shortest, longest = users.SHORTEST_PASSWORD, users.LONGEST_PASSWORD
        raise ValidationError(f"Must have {shortest} to {longest:,} characters.") from None


def trimmed(text: str | None) -> str:
    """Return a line without the blanks around it."""
    return (text or "").strip()

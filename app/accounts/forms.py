"""Checks of form fields that hold e-mail addresses and passwords."""

from flask_wtf import FlaskForm
from wtforms import Field
from wtforms.validators import ValidationError

from app.accounts import users
from app.accounts.users import AccountError


def address(_form: FlaskForm, field: Field) -> None:
    """Refuse a value that is not an e-mail address."""
    try:
        users.normalise_email(field.data or "")
    except AccountError:
        raise ValidationError("Must be an e-mail address.") from None


def new_password(_form: FlaskForm, field: Field) -> None:
    """Refuse a password that is too short or too long."""
    try:
        users.check_length(field.data or "")
    except AccountError:
        shortest, longest = users.MIN_PASSWORD_LENGTH, users.MAX_PASSWORD_LENGTH
        raise ValidationError(f"Must have {shortest} to {longest:,} characters.") from None

"""The forms of accounts."""

from __future__ import annotations

from flask_wtf import FlaskForm
from wtforms import EmailField, PasswordField, StringField
from wtforms.validators import DataRequired, Length

from app.accounts.forms import address, new_password
from app.accounts.users import LONGEST_PASSWORD
from app.database.models import EMAIL_LENGTH, NAME_LENGTH
from app.web.forms import Usable, trimmed

NEW = {"autocomplete": "new-password"}
PRESENT = {"autocomplete": "current-password"}


class LoginForm(FlaskForm):
    """Who, and the proof."""

    email = EmailField(
        "E-mail", [DataRequired(), Length(max=EMAIL_LENGTH)], render_kw={"autocomplete": "username", "autofocus": True}
    )
    password = PasswordField("Password", [DataRequired(), Length(max=LONGEST_PASSWORD)], render_kw=PRESENT)


class SignupForm(FlaskForm):
    """A new account."""

    name = StringField(
        "Name", [Usable(NAME_LENGTH, one_line=True)], filters=[trimmed], render_kw={"autocomplete": "name"}
    )
    email = EmailField("E-mail", [address], filters=[trimmed], render_kw={"autocomplete": "username"})
    password = PasswordField("Password", [new_password], render_kw=NEW)


class AddressForm(FlaskForm):
    """Where a letter is to go."""

    email = EmailField(
        "E-mail", [address], filters=[trimmed], render_kw={"autocomplete": "username", "autofocus": True}
    )


class ConfirmForm(FlaskForm):
    """The proof that who follows the link is who signed up."""

    password = PasswordField(
        "Password", [DataRequired(), Length(max=LONGEST_PASSWORD)], render_kw=PRESENT | {"autofocus": True}
    )


class NewPasswordForm(FlaskForm):
    """A password for an account whose owner has forgotten theirs."""

    password = PasswordField("New password", [new_password], render_kw=NEW | {"autofocus": True})


class ChangePasswordForm(FlaskForm):
    """Another password."""

    present = PasswordField("Present password", [DataRequired(), Length(max=LONGEST_PASSWORD)], render_kw=PRESENT)
    password = PasswordField("New password", [new_password], render_kw=NEW)


class NameForm(FlaskForm):
    """What readers see."""

    name = StringField(
        "Name", [Usable(NAME_LENGTH, one_line=True)], filters=[trimmed], render_kw={"autocomplete": "name"}
    )

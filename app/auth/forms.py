"""The forms of accounts."""

from flask_wtf import FlaskForm
from wtforms import EmailField, Field, PasswordField, StringField
from wtforms.validators import DataRequired, Length, ValidationError

from app.accounts import users
from app.accounts.users import MAX_PASSWORD_LENGTH, MIN_PASSWORD_LENGTH, AccountError
from app.database.models import EMAIL_LENGTH, NAME_LENGTH
from app.web.forms import Form, trim, valid_text

NEW = {"autocomplete": "new-password"}
CURRENT = {"autocomplete": "current-password"}
PASSWORD_HINT = "At least 8 characters. A sentence is a good password."


def address(_form: FlaskForm, field: Field) -> None:
    """Refuse a value that is not an e-mail address."""
    try:
        users.normalise_email(field.data or "")
    except AccountError:
        raise ValidationError("Must be an e-mail address.") from None


def new_password(_form: FlaskForm, field: Field) -> None:
    """Refuse a password that is too short or too long."""
    if not MIN_PASSWORD_LENGTH <= len(field.data or "") <= MAX_PASSWORD_LENGTH:
        raise ValidationError(f"Must have {MIN_PASSWORD_LENGTH} to {MAX_PASSWORD_LENGTH:,} characters.")


class NameForm(Form):
    """The name that readers see."""

    name = StringField(
        "Name",
        [valid_text(NAME_LENGTH, one_line=True)],
        filters=[trim],
        description="Readers see it next to your articles.",
        render_kw={"autocomplete": "name"},
    )


class LoginForm(Form):
    """Log-in with address and password."""

    email = EmailField(
        "E-mail", [DataRequired(), Length(max=EMAIL_LENGTH)], render_kw={"autocomplete": "username", "autofocus": True}
    )
    password = PasswordField("Password", [DataRequired(), Length(max=MAX_PASSWORD_LENGTH)], render_kw=CURRENT)


class SignupForm(NameForm):
    """A new account."""

    email = EmailField("E-mail", [address], filters=[trim], render_kw={"autocomplete": "username"})
    password = PasswordField("Password", [new_password], description=PASSWORD_HINT, render_kw=NEW)


class AddressForm(Form):
    """The address of an account, to reset its password."""

    email = EmailField("E-mail", [address], filters=[trim], render_kw={"autocomplete": "username", "autofocus": True})


class ConfirmForm(Form):
    """The password of the sign-up, which confirms that the same person follows the link."""

    password = PasswordField(
        "Password", [DataRequired(), Length(max=MAX_PASSWORD_LENGTH)], render_kw=CURRENT | {"autofocus": True}
    )


class NewPasswordForm(Form):
    """A new password after a reset."""

    password = PasswordField(
        "New password", [new_password], description=PASSWORD_HINT, render_kw=NEW | {"autofocus": True}
    )


class ChangePasswordForm(Form):
    """A new password, and the current one as proof."""

    present = PasswordField("Current password", [DataRequired(), Length(max=MAX_PASSWORD_LENGTH)], render_kw=CURRENT)
    password = PasswordField("New password", [new_password], description=PASSWORD_HINT, render_kw=NEW)

"""The forms of accounts."""

from flask_wtf import FlaskForm
from wtforms import EmailField, PasswordField, StringField
from wtforms.validators import DataRequired, Length

from app.accounts.forms import address, new_password
from app.accounts.users import MAX_PASSWORD_LENGTH
from app.database.models import EMAIL_LENGTH, NAME_LENGTH
from app.web.forms import ValidText, trim

NEW = {"autocomplete": "new-password"}
CURRENT = {"autocomplete": "current-password"}


class LoginForm(FlaskForm):
    """Log-in with address and password."""

    email = EmailField(
        "E-mail", [DataRequired(), Length(max=EMAIL_LENGTH)], render_kw={"autocomplete": "username", "autofocus": True}
    )
    password = PasswordField("Password", [DataRequired(), Length(max=MAX_PASSWORD_LENGTH)], render_kw=CURRENT)


class SignupForm(FlaskForm):
    """A new account."""

    name = StringField(
        "Name", [ValidText(NAME_LENGTH, one_line=True)], filters=[trim], render_kw={"autocomplete": "name"}
    )
    email = EmailField("E-mail", [address], filters=[trim], render_kw={"autocomplete": "username"})
    password = PasswordField("Password", [new_password], render_kw=NEW)


class AddressForm(FlaskForm):
    """The address of an account, to reset its password."""

    email = EmailField("E-mail", [address], filters=[trim], render_kw={"autocomplete": "username", "autofocus": True})


class ConfirmForm(FlaskForm):
    """The password of the sign-up, which confirms that the same person follows the link."""

    password = PasswordField(
        "Password", [DataRequired(), Length(max=MAX_PASSWORD_LENGTH)], render_kw=CURRENT | {"autofocus": True}
    )


class NewPasswordForm(FlaskForm):
    """A new password after a reset."""

    password = PasswordField("New password", [new_password], render_kw=NEW | {"autofocus": True})


class ChangePasswordForm(FlaskForm):
    """A new password, and the current one as proof."""

    present = PasswordField("Current password", [DataRequired(), Length(max=MAX_PASSWORD_LENGTH)], render_kw=CURRENT)
    password = PasswordField("New password", [new_password], render_kw=NEW)


class NameForm(FlaskForm):
    """The name that readers see."""

    name = StringField(
        "Name", [ValidText(NAME_LENGTH, one_line=True)], filters=[trim], render_kw={"autocomplete": "name"}
    )

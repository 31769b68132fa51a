"""The form of the log-in page."""

from __future__ import annotations

from flask_wtf import FlaskForm
from wtforms import EmailField, PasswordField, SubmitField
from wtforms.validators import DataRequired, Length

from app.accounts import LONGEST_PASSWORD
from app.models import EMAIL_LENGTH


class LoginForm(FlaskForm):
    """Who, and the proof."""

    email = EmailField("E-mail", [DataRequired(), Length(max=EMAIL_LENGTH)], render_kw={"autocomplete": "username", "autofocus": True})
    password = PasswordField("Password", [DataRequired(), Length(max=LONGEST_PASSWORD)], render_kw={"autocomplete": "current-password"})
    submit = SubmitField("Log in")

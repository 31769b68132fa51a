import logging
import os
from logging.handlers import RotatingFileHandler

from flask import Flask, flash, redirect, render_template, request, url_for
from flask_login import LoginManager, UserMixin, current_user, login_required, login_user, logout_user
from flask_mail import Mail
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from redis import from_url
from rq import Queue
from werkzeug.security import check_password_hash, generate_password_hash

basedir = os.path.abspath(os.path.dirname(__file__))

app = Flask(__name__)
app.config["SECRET_KEY"] = os.environ.get("SECRET_KEY") or "you-will-never-guess"
app.config["SQLALCHEMY_DATABASE_URI"] = os.environ.get("DATABASE_URL") or "sqlite:///" + os.path.join(
    basedir, "postbox.db"
)
app.config["MAIL_SERVER"] = os.environ.get("MAIL_SERVER")
app.config["MAIL_PORT"] = int(os.environ.get("MAIL_PORT") or 25)
app.config["MAIL_USE_TLS"] = os.environ.get("MAIL_USE_TLS") is not None
app.config["MAIL_USERNAME"] = os.environ.get("MAIL_USERNAME")
app.config["MAIL_PASSWORD"] = os.environ.get("MAIL_PASSWORD")
app.config["MAIL_DEFAULT_SENDER"] = os.environ.get("MAIL_DEFAULT_SENDER") or "postbox@example.com"

db = SQLAlchemy(app)
migrate = Migrate(app, db)
mail = Mail(app)
login = LoginManager(app)
login.login_view = "sign_in"
queue = Queue("letters", connection=from_url(os.environ["REDIS_URL"]))

if not app.debug:
    if not os.path.exists("logs"):
        os.mkdir("logs")
    file_handler = RotatingFileHandler("logs/app.log", maxBytes=10240, backupCount=10)
    file_handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s: %(message)s [in %(pathname)s:%(lineno)d]"))
    file_handler.setLevel(logging.INFO)
    app.logger.addHandler(file_handler)
    app.logger.setLevel(logging.INFO)
    app.logger.info("Postbox startup")


class User(UserMixin, db.Model):
    id = db.Column(db.Integer, primary_key=True)
    name = db.Column(db.String(64), unique=True, index=True, nullable=False)
    email = db.Column(db.String(120))
    password_hash = db.Column(db.String(256), nullable=False)

    def check_password(self, password):
        return check_password_hash(self.password_hash, password)


class Letter(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    body = db.Column(db.String(500), nullable=False)
    delivered = db.Column(db.Boolean, nullable=False, default=False)
    user_id = db.Column(db.ForeignKey("user.id"), nullable=False)


@login.user_loader
def load_user(id):
    return db.session.get(User, int(id))


@app.cli.command()
def seed():
    """Create the first user."""
    if db.session.scalar(db.select(User).filter_by(name="ada")) is None:
        db.session.add(User(name="ada", email="ada@example.com", password_hash=generate_password_hash("lovelace")))
        db.session.commit()
        print("created user ada")


@app.route("/")
@login_required
def index():
    letters = db.session.scalars(db.select(Letter).filter_by(user_id=current_user.id).order_by(Letter.id.desc()))
    return render_template("index.html", letters=letters.all())


@app.route("/login", methods=["GET", "POST"])
def sign_in():
    if request.method == "POST":
        user = db.session.scalar(db.select(User).filter_by(name=request.form["name"]))
        if user is None or not user.check_password(request.form["password"]):
            flash("Invalid name or password")
            return redirect(url_for("sign_in"))
        login_user(user)
        app.logger.info("%s signed in", user.name)
        return redirect(url_for("index"))
    return render_template("login.html")


@app.route("/logout")
def sign_out():
    logout_user()
    return redirect(url_for("sign_in"))


@app.route("/letters", methods=["POST"])
@login_required
def write():
    letter = Letter(body=request.form["body"][:500], user_id=current_user.id)
    db.session.add(letter)
    db.session.commit()
    queue.enqueue("tasks.deliver", letter.id)
    app.logger.info("letter %s written", letter.id)
    return redirect(url_for("index"))

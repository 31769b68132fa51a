import os
from uuid import uuid4

from flask import Blueprint, current_app, redirect, render_template, request, send_from_directory, url_for
from werkzeug.utils import secure_filename

from gallery import tasks
from gallery.extensions import db
from gallery.models import Count, Picture

bp = Blueprint("gallery", __name__)


@bp.get("/")
def index():
    pictures = db.session.query(Picture).order_by(Picture.id.desc()).limit(50).all()
    last = db.session.query(Count).order_by(Count.id.desc()).first()
    return render_template("index.html", pictures=pictures, last=last)


@bp.post("/upload")
def upload():
    file = request.files["picture"]
    name = f"{uuid4().hex[:8]}-{secure_filename(file.filename)}"
    file.save(os.path.join(current_app.config["UPLOAD_FOLDER"], name))
    picture = Picture(name=name)
    db.session.add(picture)
    db.session.commit()
    tasks.measure.delay(picture.id)
    return redirect(url_for("gallery.index"))


@bp.get("/uploads/<name>")
def uploaded(name):
    return send_from_directory(current_app.config["UPLOAD_FOLDER"], name)


@bp.get("/up")
def up():
    db.session.execute(db.text("SELECT 1"))
    return ""

import os

from celery import shared_task
from flask import current_app

from gallery.extensions import db
from gallery.models import Count, Picture


@shared_task
def measure(picture_id: int) -> None:
    """Store the size of a picture's file."""
    picture = db.session.get(Picture, picture_id)
    picture.size = os.path.getsize(os.path.join(current_app.config["UPLOAD_FOLDER"], picture.name))
    db.session.commit()


@shared_task
def count() -> None:
    """Store how many pictures there are."""
    db.session.add(Count(pictures=db.session.query(Picture).count()))
    db.session.commit()

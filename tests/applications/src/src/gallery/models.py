from gallery.extensions import db


class Picture(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    name = db.Column(db.String(200), nullable=False)
    size = db.Column(db.Integer)


class Count(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    at = db.Column(db.DateTime(timezone=True), server_default=db.func.now(), nullable=False)
    pictures = db.Column(db.Integer, nullable=False)

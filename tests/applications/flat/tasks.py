from flask_mail import Message

from app import Letter, User, app, db, mail


def deliver(letter_id):
    with app.app_context():
        letter = db.session.get(Letter, letter_id)
        user = db.session.get(User, letter.user_id)
        if app.config["MAIL_SERVER"]:
            mail.send(Message("A letter for you", recipients=[user.email], body=letter.body))
        letter.delivered = True
        db.session.commit()
        app.logger.info("letter %s delivered", letter_id)

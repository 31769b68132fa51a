"""Views of the desk, where authors edit their articles and manage their API keys."""

from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from flask_wtf.csrf import CSRFError

from app.accounts import users
from app.accounts.users import AccountError
from app.database.models import Article
from app.desk.forms import ArticleForm, KeyForm
from app.extensions import db, login_manager
from app.news import articles, listing, publishing
from app.news.articles import ConflictError
from app.news.listing import Selection
from app.web import pages

bp = Blueprint("desk", __name__, url_prefix="/desk")

PAGE = 20


@bp.before_request
def _only_users() -> Any:
    return None if current_user.is_authenticated else login_manager.unauthorized()


@bp.get("/")
def overview() -> str:
    """Show one page of the author's articles, newest first."""
    selection = Selection(author=current_user.id)
    after = pages.position(selection.digest)
    page = db.read(lambda session: listing.page(session, selection, after=after, limit=PAGE))
    return render_template("desk/overview.html", page=page, first=after is None)


@bp.route("/write", methods=["GET", "POST"])
def write() -> ResponseReturnValue:
    """Publish an article, or show its preview."""
    form = ArticleForm()
    if not form.validate_on_submit() or form.preview.data:
        return _show_form(form)
    article = db.write(lambda session: articles.create(session, author_id=current_user.id, **form.values))
    publishing.written(article.id)
    flash("Published. Summary and keywords follow in a moment.", "done")
    return redirect(url_for("main.article", article_id=article.id))


@bp.route("/articles/<id:article_id>/edit", methods=["GET", "POST"])
def edit(article_id: int) -> ResponseReturnValue:
    """Change an article, unless it has changed since the author opened the form."""
    article = _own(article_id)
    form = ArticleForm(obj=article)
    if not form.validate_on_submit() or form.preview.data:
        return _show_form(form, article)
    try:
        changed = db.write(lambda session: articles.change(session, article_id, form.base, **form.values))
    except ConflictError:
        return _show_conflict(form, article_id)
    if changed is None:
        abort(404, "This article has just been deleted.")
    publishing.written(article_id)
    flash("Saved.", "done")
    return redirect(url_for("main.article", article_id=article_id))


@bp.route("/articles/<id:article_id>/delete", methods=["GET", "POST"])
def delete(article_id: int) -> ResponseReturnValue:
    """Delete an article after a confirmation."""
    article = _own(article_id)
    form = pages.PlainForm()
    if not form.validate_on_submit():
        return render_template("desk/delete.html", article=article, form=form)
    db.write(lambda session: articles.remove(session, article_id))
    publishing.removed(article_id)
    flash(f"“{article.title}” is deleted.", "done")
    return redirect(url_for("desk.overview"))


@bp.route("/keys", methods=["GET", "POST"])
def keys() -> ResponseReturnValue:
    """Show the author's API keys, and create one. The full key is shown only once."""
    form = KeyForm()
    if form.validate_on_submit():
        name, scopes = form.name.data or "", form.scopes.data or []
        try:
            key, full_key = db.write(
                lambda session: users.create_key(session, user=current_user, name=name, scopes=scopes)
            )
        except AccountError as error:
            form.form_errors.append(str(error))
        else:
            return render_template("desk/key.html", key=key, full_key=full_key)
    # From the primary, so that the list shows a change at once.
    found = db.read(lambda session: users.keys_of(session, current_user.id), primary=True)
    return render_template("desk/keys.html", keys=found, form=form), 422 if form.errors else 200


@bp.post("/keys/<prefix>/revoke")
def revoke_key(prefix: str) -> ResponseReturnValue:
    """Revoke one of the author's API keys."""
    if not db.write(lambda session: users.revoke_key(session, prefix, owner=current_user.id)):
        abort(404, "You have no such key.")
    flash("The key is revoked. It does not work any more.", "done")
    return redirect(url_for("desk.keys"))


@bp.errorhandler(CSRFError)
def _show_again(error: CSRFError) -> ResponseReturnValue:
    """Show the article form again with its text if its CSRF token is from the session before a new log-in."""
    if request.endpoint not in {"desk.write", "desk.edit"} or not current_user.is_authenticated:
        return pages.refuse_forged(error)
    article = _own(**request.view_args) if request.view_args else None
    form = ArticleForm()
    form.validate()
    flash(
        "Nothing was saved, because you have logged in again since you opened this form. Please send it again.", "error"
    )
    return render_template("desk/article.html", form=form, article=article), 400


def _own(article_id: int) -> Article:
    """Return the author's article from the primary. An old version from a lagging replica would cause conflicts."""
    article = db.read(lambda session: session.get(Article, article_id), primary=True)
    if article is None:
        abort(404, "There is no such article.")
    if article.author_id != current_user.id:
        abort(403, "This article belongs to somebody else.")
    return article


def _show_form(form: ArticleForm, article: Article | None = None) -> ResponseReturnValue:
    """Show the form: empty, with its errors, or with a preview."""
    return render_template("desk/article.html", form=form, article=article), 422 if form.errors else 200


def _show_conflict(form: ArticleForm, article_id: int) -> ResponseReturnValue:
    """Show the stored and the typed text. If the author saves again, the typed text replaces the stored one."""
    article = _own(article_id)
    form.version.data = str(article.version)
    return render_template("desk/article.html", form=form, article=article, conflict=True), 409

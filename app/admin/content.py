"""Views for the articles of all authors."""

from flask import abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from app.admin.blueprint import PAGE, audit, bp, query
from app.database.models import Article
from app.extensions import db
from app.news import articles, listing, publishing
from app.news.listing import Selection
from app.web import pages


@bp.get("/articles")
def list_articles() -> str:
    """Show one page of articles, newest first."""
    text = query()
    selection = Selection(q=text or None)
    after = pages.position(selection.digest)
    page = db.read(lambda session: listing.page(session, selection, after=after, limit=PAGE), primary=True)
    return render_template("admin/articles.html", page=page, text=text, first=after is None)


@bp.route("/articles/<id:article_id>/delete", methods=["GET", "POST"])
def delete_article(article_id: int) -> ResponseReturnValue:
    """Delete an article after a confirmation."""
    article = db.read(lambda session: session.get(Article, article_id), primary=True)
    if article is None:
        abort(404, "There is no such article.")
    form = pages.PlainForm()
    if not form.validate_on_submit():
        return render_template("admin/delete.html", article=article, form=form)
    db.write(lambda session: articles.remove(session, article_id))
    publishing.removed(article_id)
    audit("delete article", article=article_id, author=article.author_id, title=article.title)
    flash(f"“{article.title}” is deleted.", "done")
    return redirect(url_for("admin.list_articles"))

from flask import Blueprint, jsonify, render_template

from quotes import cache, redis

QUOTES = [
    "A computer would deserve to be called intelligent if it could deceive a human. (Alan Turing)",
    "The most damaging phrase in the language is: we have always done it this way. (Grace Hopper)",
    "Simplicity is prerequisite for reliability. (Edsger Dijkstra)",
]

bp = Blueprint("quotes", __name__)


@bp.route("/")
@cache.cached(timeout=2)
def index():
    number = int(redis.get("quotes:number") or 0)
    return render_template("index.html", quote=QUOTES[number % len(QUOTES)], number=number)


@bp.route("/health")
def health():
    return jsonify(status="ok", chosen=redis.get("quotes:chosen"))

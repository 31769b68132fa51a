"""Security and cache headers of every response."""

from flask import Flask, Response, request

# No inline scripts and styles, and nothing from other sites.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}
# For URLs that contain a secret, also if they answer an error: servers log the Referer. Not `no-referrer`, because over
# HTTPS Flask-WTF refuses forms without a Referer.
SECRET_URL = {"Referrer-Policy": "strict-origin"}
SECRET_ARGUMENT = "token"
# The load balancer caches a page for a second, which is enough for many readers at once. Browsers revalidate.
# `sessions` replaces this for a page with a session or a form.
PUBLIC = "public, max-age=0, s-maxage=1, must-revalidate"
PRIVATE = "private, no-store"


def init_app(app: Flask) -> None:
    """Add the headers to every response."""
    app.after_request(_add_headers)


def _add_headers(response: Response) -> Response:
    is_secret = SECRET_ARGUMENT in (request.view_args or {})
    for name, value in (HEADERS | (SECRET_URL if is_secret else {})).items():
        response.headers.setdefault(name, value)
    if "Cache-Control" not in response.headers:
        response.headers["Cache-Control"] = PUBLIC if _is_public(response) else PRIVATE
    return response


def _is_public(response: Response) -> bool:
    return (
        request.method in {"GET", "HEAD"}
        # A cache that revalidates its copy applies the headers of the 304 to it.
        and response.status_code in {200, 304}
        and "Authorization" not in request.headers
    )

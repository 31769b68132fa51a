"""Flask-DebugToolbar for `flask run --debug` in the development environment, if it is installed."""

from importlib.util import find_spec

from flask import Flask, Response

from app.web.security_headers import CONTENT_SECURITY_POLICY

PANELS = [
    "flask_debugtoolbar.panels.timer.TimerDebugPanel",
    "app.web.debug_panel.DatabasePanel",
    "flask_debugtoolbar.panels.headers.HeaderDebugPanel",
    "flask_debugtoolbar.panels.request_vars.RequestVarsDebugPanel",
    "flask_debugtoolbar.panels.logger.LoggingPanel",
    "flask_debugtoolbar.panels.route_list.RouteListDebugPanel",
    "flask_debugtoolbar.panels.profiler.ProfilerDebugPanel",
    "flask_debugtoolbar.panels.versions.VersionDebugPanel",
]
# The toolbar uses inline scripts and styles.
RELAXED_POLICY = CONTENT_SECURITY_POLICY.replace("script-src 'self'", "script-src 'self' 'unsafe-inline'").replace(
    "style-src 'self'", "style-src 'self' 'unsafe-inline'"
)


def init_app(app: Flask) -> None:
    """Add the toolbar and relax the policy for it.

    Call it after `security_headers.init_app`, whose header it replaces.
    """
    if app.config["ENVIRONMENT"] != "development" or not app.debug or find_spec("flask_debugtoolbar") is None:
        return
    from flask_debugtoolbar import DebugToolbarExtension

    app.config["DEBUG_TB_PANELS"] = PANELS
    app.config["DEBUG_TB_INTERCEPT_REDIRECTS"] = False
    DebugToolbarExtension(app)
    app.after_request(_relax)


def _relax(response: Response) -> Response:
    if response.mimetype == "text/html":
        response.headers["Content-Security-Policy"] = RELAXED_POLICY
    return response

"""Flask extensions, and proxies for the current application's database, cache and store."""

from typing import TYPE_CHECKING, Any, cast

from flask import current_app
from flask_login import LoginManager
from flask_migrate import Migrate
from flask_wtf.csrf import CSRFError, CSRFProtect
from werkzeug.local import LocalProxy

if TYPE_CHECKING:
    from app.database.engine import Database
    from app.redis.cache import Cache
    from app.redis.store import Store


class StrictCSRFProtect(CSRFProtect):
    """Refuses a Referer that is not a URL. Flask-WTF does not expect one."""

    def protect(self, **options: Any) -> None:
        """Check the request."""
        try:
            super().protect(**options)
        except ValueError:
            raise CSRFError("The Referer is not a URL.") from None


db = cast("Database", LocalProxy(lambda: current_app.extensions["database"]))
cache = cast("Cache", LocalProxy(lambda: current_app.extensions["cache"]))
store = cast("Store", LocalProxy(lambda: current_app.extensions["store"]))
migrate = Migrate()
login_manager = LoginManager()
csrf = StrictCSRFProtect()

"""Source trees of releases: the application with added code that makes it good, slow, or broken in one way."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent, indent

from alembic.script import ScriptDirectory

from tools.fleet.context import ROOT

# Every tree is a different release, with a page that takes five seconds. Its answer starts at once, because load
# balancers do not wait longer for the first byte.
WRAPPED = '''

_create_app = create_app


def create_app(settings: Config | None = None) -> Flask:
    """Make the application, with the changes of release {name}."""
    import time

    from flask import Response, abort, request

    app = _create_app(settings)

    @app.get("/slow")
    def slow():
        def stream():
            for _ in range(10):
                yield "slow\\n"
                time.sleep(0.5)

        return Response(stream(), headers={{"Cache-Control": "no-store"}})

{body}
    return app
'''

MIGRATION = '''"""A migration of a test."""

from alembic import op
import sqlalchemy as sa

revision = "{revision}"
down_revision = "{after}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
{body}
'''


@dataclass(frozen=True)
class Variant:
    """The differences of a release.

    Args:
        name: Name of its tree.
        body: Statements inside create_app, where `app` is the application.
        top: Statements at the end of the module, outside functions.
        migrations: For each added migration, the statements of upgrade().
    """

    name: str
    body: str = ""
    top: str = ""
    migrations: tuple[str, ...] = field(default=())


def indented(text: str) -> str:
    """Indent statements as the body of a function."""
    return indent(dedent(text).strip(), "    ") + "\n"


def head() -> str:
    """Return the last schema revision of the project's own source."""
    return str(ScriptDirectory(ROOT / "app/migrations").get_current_head())


def write(variant: Variant, folder: Path) -> Path:
    """Write the variant's tree and return its root."""
    root = folder / variant.name
    for name in ("app", "requirements"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, root / name)
    module = root / "app/__init__.py"
    module.write_text(module.read_text() + variant.top + WRAPPED.format(name=variant.name, body=indented(variant.body)))
    last = head()
    for number, body in enumerate(variant.migrations, 9001):
        text = MIGRATION.format(revision=f"{number}", after=last, body=indented(body))
        (root / f"app/migrations/versions/{number}_test.py").write_text(text)
        last = f"{number}"
    return root


def fails(condition: str) -> str:
    """Return a body that answers with 500 if a condition holds."""
    return f"""
        started = time.monotonic()

        @app.before_request
        def fail():
            if {condition}:
                abort(500)
    """


EXPAND = 'op.add_column("article", sa.Column("mood", sa.String(20), nullable=True))'
GOOD = Variant("good")
BETTER = Variant("better", migrations=(EXPAND,))
SLOW_START = Variant("slow-start", body="time.sleep(4)", migrations=(EXPAND,))
NO_IMPORT = Variant("no-import", top="import nothing_of_this_name\n", migrations=(EXPAND,))
SMOKE = Variant("smoke", body=fails('request.path == "/"'), migrations=(EXPAND,))
# As in production: the health check succeeds, and only real requests fail.
UNDER_TRAFFIC = Variant(
    "under-traffic", body=fails('request.path.startswith("/api/v1/articles/")'), migrations=(EXPAND,)
)
HALF = (
    'op.add_column("article", sa.Column("half", sa.String(20), nullable=True))\n'
    'op.execute("UPDATE article SET views = views / 0 WHERE views IS NOT NULL")'
)
HALF_MIGRATION = Variant("half-migration", migrations=(EXPAND, HALF))
CONTRACT = Variant("contract", migrations=(EXPAND, 'op.drop_column("article", "mood")'))
# Resets the schema to the project's own source, which has none of these revisions.
UNDO = f"alter table article drop column if exists mood; update alembic_version set version_num = '{head()}'"

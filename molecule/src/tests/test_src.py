"""A project with a src layout, uv.lock, psycopg 3, Celery and uploads: tests/applications/src."""

from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.support.drills.playbooks import play
from tests.support.live.fleet import LiveFleet, eventually
from tests.support.live.ordinary import changed_copy, deploy
from tools.fleet.context import Host


@pytest.fixture
def picture(site: httpx.Client) -> str:
    """Upload a file. Return its name."""
    name = f"{uuid4().hex[:8]}.png"
    answer = site.post("/upload", files={"picture": (name, b"x" * 1234)})
    assert answer.status_code == 302, answer.text
    return name


def address(site: httpx.Client, picture: str) -> str:
    """Return the address of an uploaded picture. The page may have been cached before the upload."""

    def found() -> str:
        return next((part for part in site.get("/").text.split('"') if part.endswith(f"-{picture}")), "")

    return eventually(found)


def test_the_worker_measures_an_uploaded_picture(site: httpx.Client, picture: str) -> None:
    def measured() -> bool:
        return "1234 bytes" in site.get("/").text.partition(f"-{picture}</a>")[2].partition("</p>")[0]

    assert eventually(measured, within=30)


def test_beat_sends_its_periodic_task_once(fleet: LiveFleet, node: Host) -> None:
    count = "select count(*) from count where at > now() - interval '60 s'"
    assert eventually(lambda: int(fleet.sql(node, count)) >= 5, within=70, every=2)
    assert int(fleet.sql(node, count)) <= 7


def test_the_style_sheet_of_the_build_command_is_served_by_nginx(
    fleet: LiveFleet, site: httpx.Client, node: Host
) -> None:
    path = f"/static/dist/gallery.css?{uuid4().hex}"
    assert site.get(path).text.startswith("body { max-width: 40rem;")
    line = eventually(lambda: fleet.run(node, f"grep -F '{path}' /var/log/nginx/access.log", check=False).stdout)
    assert '"upstream_addr":""' in line


def test_its_migration_ran_as_the_schemas_owner(fleet: LiveFleet, node: Host) -> None:
    assert fleet.sql(node, "select tableowner from pg_tables where tablename = 'picture'") == "src_owner"
    assert fleet.sql(node, "select version_num from alembic_version") == "8c473d4ad9ef"


def test_a_large_upload_is_accepted_and_a_too_large_one_refused(site: httpx.Client) -> None:
    large = site.post("/upload", files={"picture": ("large.bin", b"x" * 7_000_000)})
    assert large.status_code == 302, large.text
    assert site.post("/upload", files={"picture": ("huge.bin", b"x" * 12_000_000)}).status_code == 413


def test_uploads_are_kept_over_a_deploy_and_a_rollback(
    fleet: LiveFleet, site: httpx.Client, picture: str, tmp_path: Path
) -> None:
    path = address(site, picture)
    page = "src/gallery/templates/index.html"
    source = changed_copy("src", tmp_path, page, "<h1>Gallery</h1>", "<h1>The next release</h1>")
    deploy(fleet, source).succeeded()
    assert eventually(lambda: "The next release" in site.get("/").text)
    assert site.get(path).content == b"x" * 1234
    play(fleet, "playbooks/rollback.yml").succeeded()
    assert eventually(lambda: "The next release" not in site.get("/").text)
    assert site.get(path).content == b"x" * 1234

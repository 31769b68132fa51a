"""A real gunicorn with the role's settings: its log, and that of Flask, have no secrets of URLs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx

from tests.support.live.fleet import eventually
from tests.support.sockets import accepts_connections, free_port
from tests.unit.roles.app_role import rendered

APPLICATION = """
import logging
from flask import Flask
flask = Flask(__name__)

@flask.get("/<path:path>")
def page(path):
    logging.warning("a message with an error: %d %d", 1)
    raise RuntimeError

def app(environ, start_response):
    if environ["PATH_INFO"].startswith("/gunicorn"):
        raise RuntimeError  # gunicorn logs the URL
    return flask(environ, start_response)
"""
SIGNED = "Im1lQG5ld3MudGVzdCI.aSunsd.8Vq0LxG7Q1aV4SWq3IDgkRq60eQ"


def test_neither_flask_nor_gunicorn_logs_the_secret_in_a_link(tmp_path: Path) -> None:
    port = free_port()
    variables = {"app_workers": 1, "app_domain": "shop.test", "app_health_path": "/", "app_secret_paths": ["/reset/"]}
    settings = rendered("gunicorn.conf.py.j2", **variables).replace("/run/app", str(tmp_path))
    (tmp_path / "gunicorn.conf.py").write_text(f"{settings}\nbind = '127.0.0.1:{port}'\n")
    (tmp_path / "shop.py").write_text(APPLICATION)
    command = [sys.executable, "-m", "gunicorn", "--config=gunicorn.conf.py", "shop:app"]
    log = tmp_path / "log"
    with log.open("w") as output, subprocess.Popen(command, cwd=tmp_path, stderr=output) as gunicorn:
        try:
            assert eventually(lambda: accepts_connections(port), within=20, every=0.05)
            for path in ("/reset/s3cret", f"/activate/{SIGNED}", "/gunicorn?next=/&token=s3cret", "/plain"):
                assert httpx.get(f"http://127.0.0.1:{port}{path}", trust_env=False).status_code == 500
        finally:
            gunicorn.terminate()
            gunicorn.wait(timeout=60)
    logged = log.read_text()
    assert "s3cret" not in logged
    assert SIGNED not in logged
    for message in (
        "Exception on /reset/[hidden] [GET]",
        "Exception on /activate/[hidden] [GET]",
        "Error handling request GET /gunicorn?next=/&token=[hidden]",
        "Exception on /plain [GET]",
        "a message with an error: %d %d",
    ):
        assert message in logged

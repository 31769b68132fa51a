"""The search for secrets on a host, as far as it needs no host."""

from __future__ import annotations

import base64
import json
import urllib.parse
from pathlib import Path

import pytest

from tests.support.live import secret_search

VALUE = "it's/a secret+Value"


@pytest.mark.parametrize("before", ["", "a", "ab", "abc", "user:"])
@pytest.mark.parametrize("after", ["", "z", "zy", "zyx"])
def test_a_value_is_found_in_base64_beside_anything(before: str, after: str) -> None:
    encoded = base64.b64encode(f"{before}{VALUE}{after}".encode())
    assert secret_search.Search({"planted": [VALUE]}).find(b"Authorization: Basic " + encoded) == {"planted"}


def test_a_value_is_found_in_a_url_and_in_json() -> None:
    search = secret_search.Search({"planted": [VALUE], "other": ["something else"]})
    for spelled in (VALUE, urllib.parse.quote(VALUE, safe=""), json.dumps({"a": VALUE})):
        assert search.find(f"<{spelled}>".encode()) == {"planted"}
    assert search.find(VALUE[1:].encode()) == set()


def test_files_of_folders_that_are_left_out_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("kept", "left"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(VALUE)
    monkeypatch.setattr(secret_search, "LEFT_OUT", {f"{tmp_path}/left"})
    assert list(secret_search.files([str(tmp_path)])) == [tmp_path / "kept/file"]

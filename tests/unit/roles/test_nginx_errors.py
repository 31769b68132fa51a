"""The filter of nginx's error log. test_nginx.py runs it with a real nginx."""

import time

from tests.unit.roles.modules import ROLES, load

nginx_errors = load(ROLES / "nginx/files/nginx_errors.py")


def test_a_long_row_of_slashes_does_not_slow_the_filter_down() -> None:
    pattern = nginx_errors.secret_urls(["/auth/reset/"])
    for row in ("/" * 16000, "%2f" * 5000, "%25" * 5000, "auth" + "/" * 16000):
        begin = time.process_time()
        assert not pattern.search(row)
        assert time.process_time() - begin < 0.2


def test_any_prefix_hides_the_rest_of_a_url() -> None:
    hidden = nginx_errors.secret_urls(["/verify?token="]).sub(r"\1[hidden]", '"GET /verify?token=abc&x=1 HTTP/1.1"')
    assert hidden == '"GET /verify?token=[hidden] HTTP/1.1"'
    assert nginx_errors.journal_line(b"\xff\n", nginx_errors.secret_urls([])) == "<3>\\xff\\n"

"""The page that users get during a maintenance, from a real nginx with the role's templates."""

import httpx

from tests.unit.roles.nginx_server import Application, MakeSite

NOTE = {"message": "Back at 14:00 (R&D's tea).", "retry_after": 90}


def test_during_maintenance_users_get_a_page_and_the_fleet_gets_the_site(make_site: MakeSite) -> None:
    site = make_site(
        __nginx_maintenance=NOTE,
        nginx_maintenance_exempt=["192.0.2.0/24", "127.0.0.1"],
        nginx_trusted_proxies=["127.0.0.0/8"],
    )
    (site.folder / "static/latest").mkdir()
    (site.folder / "static/latest/site.css").write_text("p {}")
    with site.running() as client:
        user = {"X-Forwarded-For": "203.0.113.9"}
        page = client.get("/", headers=user)
        assert (page.status_code, page.headers["Retry-After"]) == (503, "90")
        assert str(NOTE["message"]) in page.text
        assert "<h1>We will be right back</h1>" in page.text
        api = client.post("/api/v1/articles", headers=user, json={})
        assert (api.status_code, api.json()["detail"]) == (503, NOTE["message"])
        for path in ("/static/site.css", "/lb-error/page", "/lb-healthy"):
            assert client.get(path, headers=user).status_code in {404, 503}
        assert client.get("/lb-health", headers=user).text == "ok\n"
        for address in ("192.0.2.7", "127.0.0.1"):
            assert client.get("/", headers={"X-Forwarded-For": address}).status_code == 200
            # The way to see the page that `bin/fleet maintenance on` prints.
            shown = client.get("/", headers={"X-Forwarded-For": address, "X-Maintenance": "show"})
            assert (shown.status_code, str(NOTE["message"]) in shown.text) == (503, True)
        for header in ("1:/lb-health", "0", "hide"):
            assert client.get("/", headers=user | {"X-Maintenance": header}).status_code == 503


def test_without_maintenance_an_error_has_the_usual_page(client: httpx.Client, application: Application) -> None:
    assert client.get("/").status_code == 200
    application.stop()
    assert client.get("/?n=2").headers["Retry-After"] == "5"

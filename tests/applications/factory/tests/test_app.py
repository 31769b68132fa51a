from quotes import create_app


def test_health():
    app = create_app({"CACHE_TYPE": "NullCache"})
    assert "/health" in {rule.rule for rule in app.url_map.iter_rules()}

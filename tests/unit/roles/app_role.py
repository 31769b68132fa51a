"""Role app's templates, rendered without a host."""

from typing import Any

from tests.unit.roles.modules import read_yaml, render

PRIVATE = {"__app_home": "/opt/shop", "__app_etc": "/etc/shop", "__app_cli": "/usr/local/sbin/shop"}
FLEET = {
    "app_name": "shop",
    "app_module": "shop:app",
    "app_user": "shop-app",
    "app_bind_address": "10.0.0.1",
    "app_loadbalancer_addresses": ["10.0.0.2"],
}


def rendered(template: str, **variables: Any) -> str:
    """Return a template as a host gets it."""
    defaults = read_yaml("roles/app/defaults/main.yml")
    return render("app", template, **(defaults | {"app_workers": 2} | FLEET | PRIVATE | variables))

"""Who asks, as far as limits are concerned."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address, ip_network

from flask import request


def client_address() -> str:
    """Return the client's address: of IPv6 its network, since one client has a whole one."""
    try:
        address = ip_address(request.remote_addr or "")
    except ValueError:
        return "unknown"
    return str(ip_network((address, 64), strict=False)) if isinstance(address, IPv6Address) else str(address)

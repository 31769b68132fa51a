"""The client's address, by which rate limits count."""

from ipaddress import IPv6Address, ip_address, ip_network

from flask import request


def client_address() -> str:
    """Return the client's IPv4 address or IPv6 /64 network, because one IPv6 client has a full /64."""
    try:
        address = ip_address(request.remote_addr or "")
    except ValueError:
        return "unknown"
    return str(ip_network((address, 64), strict=False)) if isinstance(address, IPv6Address) else str(address)

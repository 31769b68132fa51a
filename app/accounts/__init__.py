"""Users, passwords, API keys and signed links."""

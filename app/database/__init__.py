"""Postgres: sessions for the primary and a replica, models, and failover handling."""

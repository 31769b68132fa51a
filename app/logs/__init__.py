"""Structured logs without secrets."""

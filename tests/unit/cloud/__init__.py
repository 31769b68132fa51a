"""Tests of the local EC2's own decisions, without an API and without hosts."""

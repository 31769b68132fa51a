"""Helpers for tests of a running fleet. The tests assert behaviour through the front door."""

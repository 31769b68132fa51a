"""Releases that are good, slow, broken in many ways, and a stage on which they are deployed under load."""

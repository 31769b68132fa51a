"""Finds out how a Flask project runs, by reading its files. Nothing of the project is imported or executed."""

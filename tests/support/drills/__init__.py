"""Failure drills: a load, one fault, a verdict. `arena.py` is the story, `catalogue.py` lists the faults."""

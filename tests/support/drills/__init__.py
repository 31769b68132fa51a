"""Failure drills: a load, one fault, a verdict. `runner.py` runs a drill, `catalogue.py` lists them."""

"""The verbs of `bin/fleet` for a fleet that runs: one module for each subject."""

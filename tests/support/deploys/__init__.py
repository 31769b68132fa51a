"""Good, slow and broken releases, and the stage that deploys them under load."""

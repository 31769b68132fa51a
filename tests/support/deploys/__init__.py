"""Good, slow and broken releases, and the runner that deploys them under load."""

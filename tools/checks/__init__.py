"""The project's checks: lint, unit tests and scenarios, in two tiers."""

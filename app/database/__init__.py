"""The database: two sessions, one for the primary and one for a replica."""

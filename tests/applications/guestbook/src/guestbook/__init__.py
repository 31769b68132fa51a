"""A guest book: one page, one table, one task."""

"""Redis: the cache, which may lose its data, and the store, which keeps it."""

"""Redis: the cache, which may lose its data, and the store, which must keep it."""

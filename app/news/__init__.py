"""Articles: lists, search, publishing, import from feeds, view counts."""

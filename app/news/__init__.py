"""Articles: listing, searching, publishing, importing, counting views."""

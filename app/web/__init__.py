"""Features that all pages and the API share."""

"""What all pages and the API share."""

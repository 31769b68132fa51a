"""The site in a headless Chromium, for the scenarios' tests of pages."""

"""The site in a headless Chromium: what the scenarios' tests of pages share."""

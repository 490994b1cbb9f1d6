"""The report of a run: one HTML file that works offline. `data` says what it shows, `page` writes it."""

"""SQLite as a database of several processes."""

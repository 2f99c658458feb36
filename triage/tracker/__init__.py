"""The tracker: every item as a row, out to a file and in again through intake."""

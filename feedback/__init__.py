"""What people said, and where."""

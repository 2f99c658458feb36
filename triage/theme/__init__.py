"""The admin's looks: what makes Unfold run under a strict Content-Security-Policy."""

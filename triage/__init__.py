"""What it means, who answers, by when."""

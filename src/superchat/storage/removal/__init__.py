"""What goes for good: deleted channels, expired threads, and their space on disk."""

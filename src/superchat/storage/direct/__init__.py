"""Direct conversations: who takes part, and who was invited."""

"""What is promised when things break: each fault in a short form as a test, and in a long one as a command."""

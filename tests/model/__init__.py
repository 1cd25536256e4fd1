"""A simple model of the chat, and machines that hold the real one to it."""

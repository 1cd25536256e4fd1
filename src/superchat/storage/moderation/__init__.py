"""Bans, and the log of what those with power did."""

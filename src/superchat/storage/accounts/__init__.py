"""Accounts and how they are logged in to."""

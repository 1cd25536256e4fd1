"""Tests for `superchat.storage.removal`."""

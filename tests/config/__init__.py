"""Tests of superchat.config."""

"""Tests of superchat.wire: declarations, codec, frames, and one peer's stream."""

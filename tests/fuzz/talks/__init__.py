"""Whole conversations: several clients at once, with messages good and broken, on a real chat."""

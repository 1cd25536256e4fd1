"""Fuzz targets; each runs by itself for a bounded time, or under atheris."""

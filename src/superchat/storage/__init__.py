"""Where channels and messages live: one interface, engines in memory and on SQLite."""

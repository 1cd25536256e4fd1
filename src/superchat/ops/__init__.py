"""What operators see of the server: logs now, metrics and health with later releases."""

"""What the server tells about itself in numbers: metric families as plain values, one module for each source."""

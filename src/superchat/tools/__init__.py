"""Console scripts: the only package beside `tap` that may use the global reactor."""

"""Real counterparts for tests: servers and other parts that run for the length of a test."""

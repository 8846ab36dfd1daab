"""The parts of `make demo`: real files that change, the service, and what to show of it."""

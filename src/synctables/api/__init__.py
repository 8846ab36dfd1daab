"""The HTTP API: one module per documented resource, and what they share."""

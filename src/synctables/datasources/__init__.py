"""Where files come from: one small interface, one module per kind of source."""

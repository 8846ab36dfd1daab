"""One revision per SQL file beside this folder."""

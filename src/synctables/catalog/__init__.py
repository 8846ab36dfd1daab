"""What exists: the tables that imports made."""

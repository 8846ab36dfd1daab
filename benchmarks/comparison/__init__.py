"""`make bench`: what we do and what others do with the same file, side by side in one run."""

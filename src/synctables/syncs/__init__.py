"""What is kept fresh, and when."""

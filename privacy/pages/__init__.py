"""What is told as pages for people."""

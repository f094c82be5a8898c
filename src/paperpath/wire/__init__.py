"""What our own processes say to each other, declared once.  Pure."""

"""Several runs from lists of values."""

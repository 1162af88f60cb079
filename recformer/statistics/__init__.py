"""Intervals, paired tests and what a test could have shown."""

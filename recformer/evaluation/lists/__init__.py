"""Recommendations made elsewhere: read from files, checked, kept as a model, ranked like any other."""

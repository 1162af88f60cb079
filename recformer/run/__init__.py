"""Runs on disk: paths, records, state, labels, the list of all, search, trash, settings."""

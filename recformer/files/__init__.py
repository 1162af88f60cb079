"""Files: the one gate that all are read through, atomic writes, names, and whether a file has changed."""

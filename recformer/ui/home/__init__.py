"""What is running, what was trained, how the models compare."""

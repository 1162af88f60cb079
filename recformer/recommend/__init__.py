"""What models recommend to a user, and why."""

"""Is it going well?"""

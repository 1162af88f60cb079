"""Which is better, and how sure?"""

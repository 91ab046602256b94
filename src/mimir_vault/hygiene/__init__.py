"""Keeping memories clean: duplicates, supersession and expiry."""

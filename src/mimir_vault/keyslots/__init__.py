"""The header of a vault and the ways to unlock it."""

"""The contenders of the comparison: each one a class of the same few verbs, in a module of its own."""

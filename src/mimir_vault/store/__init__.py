"""Encrypted databases: spaces, nodes, words, vectors, size classes, freshness and audit."""

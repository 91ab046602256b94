"""From text to vectors, on this machine alone."""

"""Export and import: what a memory holds as a file that other programs read, and such files as nodes."""

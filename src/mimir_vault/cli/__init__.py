"""The command line: a thin shell over Vault and Memory; delete this folder and the library still works."""

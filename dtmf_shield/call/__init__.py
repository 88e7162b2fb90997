"""The B2BUA without I/O: a caller's dialog and an agent's dialog make one call, shielded from end to end."""

"""The embedded TEST gateway: a separate local process that takes published test card numbers only."""

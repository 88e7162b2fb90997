"""Composition root: configuration, processes, wiring. The only package that may import red and white both."""

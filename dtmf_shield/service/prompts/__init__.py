"""Prompt sets in the service: built from text, checked, worked out of the flows, laid ready for media."""

"""Thin commands: parse arguments, call service."""

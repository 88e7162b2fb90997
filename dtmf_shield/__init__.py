"""Secure card capture by telephone keypad: agents and recordings never hear a digit."""

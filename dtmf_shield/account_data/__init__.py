"""Red: account data in locked memory. Imported by cde, media and service only."""

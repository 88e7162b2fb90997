"""The hash-chained audit log: what was done, by whom, when. Never a digit."""

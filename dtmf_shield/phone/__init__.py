"""The project's own scripted test phone: calls, speech, keys by each door, TEST cards only. Not a softphone."""

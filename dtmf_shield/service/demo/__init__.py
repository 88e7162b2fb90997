"""The demonstration: real calls through the service, keys by each door, and evidence of what each side received."""

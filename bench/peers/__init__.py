"""The detectors and relays that ours is measured against, each in its own file; none is imported by the service."""

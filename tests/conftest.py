"""What all tests share: no property fails by a wall time, which says more of the machine than of the code."""

from hypothesis import settings

settings.register_profile("untimed", settings(), deadline=None)
settings.load_profile("untimed")

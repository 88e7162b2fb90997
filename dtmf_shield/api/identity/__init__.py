"""Who asks: roles, principals, and the ways to prove one: a one-time link, a session, a key."""

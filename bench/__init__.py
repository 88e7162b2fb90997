"""One file per claim: the number, the peer's number, the ratio."""

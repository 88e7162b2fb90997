"""Kernels of the DTMF detector and masker: tables, front end, registration, suspicion, the state of a leg."""

"""Audio codecs: tables and kernels, no state machine of their own."""

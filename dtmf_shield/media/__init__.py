"""The media process: RED until masked. Caller audio comes in, masked audio goes out, keys go to their slot."""

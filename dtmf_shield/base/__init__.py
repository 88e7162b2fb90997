"""What every package may use: clock, configuration, errors, the redacting log."""

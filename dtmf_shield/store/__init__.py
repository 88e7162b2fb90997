"""What outlives a process: call registry, ledger rows, call records. SQLite here."""

"""Red: capture, gateways and ledger; card data while one capture runs. Imported by service only."""

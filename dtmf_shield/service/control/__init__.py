"""The control process: SIP, calls, flows, API. White: nothing it loads can name a digit."""

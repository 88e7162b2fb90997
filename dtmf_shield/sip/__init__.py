"""SIP and SDP without I/O: messages, transactions, dialogs, offer/answer. Bodies stay bytes."""

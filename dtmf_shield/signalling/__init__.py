"""SIP shells: sockets in, sockets out. The protocol is in sip, the calls are in call."""

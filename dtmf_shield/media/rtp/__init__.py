"""RTP on byte arrays: headers, clocks and telephone events (RFC 3550, RFC 4733), without a socket."""

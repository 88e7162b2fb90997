"""Flow files in the service: loaded, kept by version, held against what the service has, put on routes, rehearsed."""

"""The words everyone shares: identifiers, stream parameters, capture specifications, process messages."""

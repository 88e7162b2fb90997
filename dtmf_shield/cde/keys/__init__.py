"""Keys of tokens at rest: a data key a day (DEK), wrapped by a key encryption key (KEK) in a file or an HSM."""

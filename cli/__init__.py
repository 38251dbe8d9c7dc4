"""The ``heliodock`` command: thin, one file per verb."""

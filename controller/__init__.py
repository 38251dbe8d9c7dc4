"""The control function (pure) and the shell that runs it."""

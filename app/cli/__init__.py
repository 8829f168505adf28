"""The command line: thin, typed, and silent about what nobody asked."""

"""The console: what one agent said and did, in order, as it happens."""

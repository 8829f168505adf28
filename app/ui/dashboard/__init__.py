"""The dashboard: one row an agent, and what the chosen one is doing."""

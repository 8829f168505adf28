"""The one place an agent's machine can reach: its model, its tools. Keys stay on this side."""

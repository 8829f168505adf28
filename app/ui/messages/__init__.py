"""The message log: what passes between agents, and writing to one as the user."""

"""Control of agents from the window: which orders there are, when each may be given, and the menus that give them."""

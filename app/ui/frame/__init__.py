"""The window around the pages: navigation, fleet header, the strip that calls the user, the status line."""

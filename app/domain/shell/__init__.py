"""What a shell command line would run, read without running it."""

from app.domain.shell.script import Script, Simple, read_script
from app.domain.shell.words import UNKNOWN, shown

__all__ = ["UNKNOWN", "Script", "Simple", "read_script", "shown"]

"""Agent, a person with any editor, and restores in any order: no line goes that nobody took away on purpose."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.store.memory_desk import EDITORS, USER, MemoryDesk

HEADINGS = ("Decisions", "Open ends", "Notes")
STEPS = st.sampled_from(["", "drafted", "intended", "swapped", "kept"])


class Interleaving(RuleBasedStateMachine):
    """Every line is written once in the whole story, so that it can be followed.

    ``wanted`` are the lines that were written and that nobody took away on purpose: the agent by replacing the section
    they were in, the person by deleting them from the text in the editor, either by a restore of a file without them.
    """

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="memory-"))
        self.desk = MemoryDesk(self.folder)
        self.path = self.desk.memory().path
        self.path.parent.mkdir()
        self.path.write_text("# Memory of alice\n")
        self.count = 0
        self.wanted: set[str] = set()
        self.buffer: list[str] = []
        self.loaded: list[str] = []
        self.opened: list[str] = []
        self.saving = self.loading = ""
        self.load()

    def teardown(self) -> None:
        try:
            self.everything_wanted_is_there()
        finally:
            self.desk.close()
            shutil.rmtree(self.folder)

    def new_line(self, who: str) -> str:
        self.count += 1
        line = f"{who} wrote line {self.count}."
        self.wanted.add(line)
        return line

    def lines(self) -> list[str]:
        return self.path.read_text().splitlines() if self.path.exists() else []

    def hook(self, step: str) -> None:
        if step == self.saving:
            self.saving = ""
            self.save(EDITORS[self.count % len(EDITORS)])
        elif step == self.loading:
            self.loading = ""
            self.load()

    @rule(heading=st.sampled_from(HEADINGS), saving=STEPS, loading=STEPS)
    def agent_appends(self, heading: str, saving: str, loading: str) -> None:
        """While it writes, the person may save, and have the editor load what is there then."""
        self.saving, self.loading = saving, loading
        line = self.new_line("alice")
        self.desk.memory(step=self.hook).append(heading, line)

    @rule(heading=st.sampled_from(HEADINGS))
    def agent_replaces(self, heading: str) -> None:
        now = self.desk.memory().read().splitlines()
        self.wanted -= set(section(now, heading))
        self.desk.memory().replace(heading, self.new_line("alice"))

    @rule()
    def load(self) -> None:
        """The person opens the file, or has the editor load it again: what is not saved is given up."""
        self.wanted -= set(self.buffer) - set(self.loaded)
        self.buffer = self.lines()
        self.loaded, self.opened = list(self.buffer), list(self.buffer)

    @rule(place=st.integers(0, 30))
    def types(self, place: int) -> None:
        self.buffer.insert(min(place, len(self.buffer)), self.new_line("user"))

    @rule(place=st.integers(0, 30))
    def deletes(self, place: int) -> None:
        if self.buffer:
            gone = self.buffer.pop(place % len(self.buffer))
            self.wanted.discard(gone)

    @rule(editor=st.sampled_from(EDITORS))
    def save(self, editor: object) -> None:
        if self.buffer == self.loaded:
            return  # nobody saves what was not changed
        if self.buffer == self.opened:
            # Changed, saved, changed back and saved again, between two looks of ours: that cannot be told from taking
            # away what came since: so somebody looks between the two.
            self.desk.memory().read()
        assert callable(editor)
        editor(self.path, "".join(f"{line}\n" for line in self.buffer).encode())
        self.loaded = list(self.buffer)

    @rule(back=st.integers(1, 6))
    def restore(self, back: int) -> None:
        """Who restores has put the editor away: what is not saved goes with it."""
        self.load()
        revisions = self.desk.memory().history()
        if not revisions:
            return
        number = revisions[max(len(revisions) - back, 0)].number
        now = set(self.desk.memory().read().splitlines())
        then = set(self.desk.memory().content(number).decode().splitlines())
        self.wanted -= now - then
        self.wanted |= {line for line in then if " wrote line " in line}
        self.desk.memory().restore(number, USER)
        self.load()

    @rule()
    def everything_wanted_is_there(self) -> None:
        there = self.desk.memory().read().splitlines()
        unsaved = set(self.buffer) - set(self.loaded)
        missing = self.wanted - set(there) - unsaved
        assert not missing, (missing, [(item.number, item.change) for item in self.desk.memory().history()])
        for newest in self.desk.memory().history()[-1:]:
            assert self.desk.memory().content(newest.number) == self.path.read_bytes()


def section(lines: list[str], heading: str) -> list[str]:
    """Lines under a heading of the second level, read by hand."""
    text = "\n".join(lines)
    _, _, rest = text.partition(f"## {heading}\n")
    return rest.split("\n## ")[0].split("\n")


Interleaving.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestInterleaving = Interleaving.TestCase

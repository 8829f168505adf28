from __future__ import annotations

import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from app.domain import events as ev
from app.domain.errors import JournalError, NotFound
from app.domain.events import AgentStatus
from app.domain.interrupt import Answer
from app.store.journal import Journal, JournalReader
from app.testing import EventBuilder


def test_a_fact_is_appended_once_and_read_in_order(tmp_path: Path) -> None:
    journal, make = Journal(tmp_path / "j.db"), EventBuilder()
    first, second = make.run_started("alice"), make.moved("alice", AgentStatus.IDLE)
    journal.append(first, second)
    journal.append(second, first)
    assert [event for _, event in journal.read()] == [first, second]
    (number, _), _ = journal.read()
    assert [event for _, event in journal.read(after=number)] == [second]
    assert journal.has(first.id)
    assert not journal.has("another")
    assert journal.last("agent_moved", fleet=make.fleet, run=make.run, agent="alice") == second
    journal.close()


def test_the_files_are_the_users_alone(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.db")
    journal.append(EventBuilder().run_started("alice"))
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == dict.fromkeys(modes, 0o600)
    journal.close()


def test_the_first_body_of_an_id_stays(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.db")
    assert journal.put_body("answer/1", Answer(text="first"))
    assert not journal.put_body("answer/1", Answer(text="second"))
    assert journal.body("answer/1", Answer).text == "first"
    with pytest.raises(NotFound, match="nothing is kept under 'answer/2'"):
        journal.body("answer/2", Answer)
    journal.close()


def test_what_is_written_lazily_survives_a_kill_and_is_synced_with_the_next_fact(tmp_path: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path; from app.store.journal import Journal; "
        "from app.domain.interrupt import Answer; "
        "from app.testing import EventBuilder; journal = Journal(Path(sys.argv[1])); make = EventBuilder()\n"
        "journal.append(make.run_started('a'), lazily=True); journal.put_body('b', Answer(text='kept'), lazily=True)\n"
        "os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", script, tmp_path / "j.db"], capture_output=True, check=False)
    assert done.returncode == -9, done.stderr
    journal = Journal(tmp_path / "j.db")
    assert len(journal.read()) == 1
    assert journal.body("b", Answer).text == "kept"
    journal.append(EventBuilder().run_started("b"), lazily=True)
    (full,) = journal._db.conn.execute("PRAGMA synchronous").fetchone()
    assert full == 2, "what is appended after it waits for the disk"
    journal.close()


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path; from app.store.journal import Journal; "
        "from app.testing import EventBuilder; journal = Journal(Path(sys.argv[1])); make = EventBuilder()\n"
        "for number in range(200):\n    journal.append(make.run_started('a'))\n    print(number, flush=True)\n"
        "os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", script, tmp_path / "j.db"], capture_output=True, check=False)
    assert done.returncode == -9, done.stderr
    acknowledged = len(done.stdout.split())
    journal = Journal(tmp_path / "j.db")
    assert len(journal.read()) == acknowledged == 200
    journal.close()


def test_many_threads_append_at_once(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.db")

    def append_all(make: EventBuilder) -> None:
        for _ in range(25):
            journal.append(make.run_started("a"))

    threads = [threading.Thread(target=append_all, args=(EventBuilder(run=f"r{n}"),)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(journal.read()) == 200
    journal.close()


def test_a_reader_follows_a_file_that_is_not_there_yet(tmp_path: Path) -> None:
    reader = JournalReader(tmp_path / "j.db")
    assert not reader.changed()
    assert reader.read() == []
    assert reader.fleets() == []
    journal, make = Journal(tmp_path / "j.db"), EventBuilder()
    journal.append(make.run_started("alice"))
    assert reader.changed()
    assert not reader.changed()
    assert len(reader.read()) == 1
    journal.append(make.moved("alice", AgentStatus.IDLE))
    assert reader.changed()
    assert reader.fleets() == [make.fleet]
    reader.close()
    journal.close()


def test_a_fact_of_a_newer_skerry_is_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    journal, make = Journal(tmp_path / "j.db"), EventBuilder()
    fact = make.run_started("alice")
    journal.append(fact)
    row = ("x", "2027-01-01", "f", "r", "", "teleported", '{"kind": "teleported", "id": "x"}')
    journal._db.conn.execute("INSERT INTO events (id, at, fleet, run, agent, kind, json) VALUES (?,?,?,?,?,?,?)", row)
    later = make.moved("alice", AgentStatus.IDLE)
    journal.append(later)
    (first, _), _ = journal.read()
    assert [event for _, event in journal.read(after=first, limit=1)] == [later], "a reader gets past it"
    assert "does not know" in caplog.text
    journal.close()


@pytest.mark.parametrize("content", [b"not a database, but long enough to look like one " * 40])
def test_a_damaged_file_is_named_with_a_remedy(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "j.db").write_bytes(content)
    with pytest.raises(JournalError, match=r"cannot open .*j\.db: file is not a database \(check the disk"):
        Journal(tmp_path / "j.db")


def test_a_newer_schema_is_not_touched(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j.db")
    journal._db.conn.execute("PRAGMA user_version=99")
    journal.close()
    with pytest.raises(JournalError, match="newer Skerry"):
        Journal(tmp_path / "j.db")


def test_the_kinds_of_facts_are_told_apart() -> None:
    assert len({kind.model_fields["kind"].default for kind in ev.Fact.__subclasses__()}) == len(
        ev.Fact.__subclasses__()
    )


def test_a_second_connection_does_not_give_up_the_firsts_locks(tmp_path: Path) -> None:
    """Closing any file handle of the database would drop this process's locks: others then remove the log under us."""
    journal, make = Journal(tmp_path / "j.db"), EventBuilder()
    second = Journal(tmp_path / "j.db")
    journal.append(make.run_started("alice"))
    script = (
        "import sys; from pathlib import Path; from app.store.journal import Journal\n"
        "Journal(Path(sys.argv[1])).close()"
    )
    subprocess.run([sys.executable, "-c", script, tmp_path / "j.db"], check=True)
    assert (tmp_path / "j.db-wal").exists(), "the log went although this process still uses it"
    journal.append(make.moved("alice", AgentStatus.IDLE))
    count = (
        "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute('SELECT count(*) FROM events').fetchone()[0])"
    )
    seen = subprocess.run([sys.executable, "-c", count, tmp_path / "j.db"], check=True, capture_output=True, text=True)
    assert seen.stdout.strip() == "2"
    second.close()
    journal.close()

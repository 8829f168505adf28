"""What the journal says of the agents of a run, read as far as it goes whenever it is asked."""

from __future__ import annotations

from dataclasses import dataclass, field

from app.domain import events as ev
from app.domain.account import Account
from app.domain.events import Event
from app.domain.watch import KINDS, AgentWatch, PairWatch, pair_of
from app.store.journal import Journal


@dataclass(slots=True)
class RunLedger:
    """One run: accounts and watches of its agents, and of the pairs that write to each other."""

    after: int = 0
    accounts: dict[str, Account] = field(default_factory=dict)
    agents: dict[str, AgentWatch] = field(default_factory=dict)
    pairs: dict[tuple[str, str], PairWatch] = field(default_factory=dict)
    raised: dict[str, str] = field(default_factory=dict)
    """Interrupts of the host that are on record, by their id: what each is about."""
    settled: dict[tuple[str, str], int] = field(default_factory=dict)
    """How many questions about (agent, cause) are settled: the next one is a new one."""

    def learn(self, fact: Event) -> None:
        """Take in the next fact of the run."""
        if not fact.agent:
            return
        self.accounts[fact.agent] = self.account(fact.agent).learn(fact)
        self.watch(fact.agent).learn(fact)
        if isinstance(fact, ev.InterruptRaised) and fact.interrupt.about:
            self.raised[fact.interrupt.id] = fact.interrupt.about
        if isinstance(fact, ev.InterruptSettled) and fact.interrupt_id in self.raised:
            key = (fact.agent, self.raised[fact.interrupt_id])
            self.settled[key] = self.settled.get(key, 0) + 1
        self._tell_pairs(fact)

    def account(self, agent: str) -> Account:
        """What the agent has used."""
        return self.accounts.get(agent) or Account()

    def watch(self, agent: str) -> AgentWatch:
        """How the agent gets on."""
        return self.agents.setdefault(agent, AgentWatch(agent))

    def number(self, agent: str, about: str) -> int:
        """Which question about this the present one is."""
        return self.settled.get((agent, about), 0)

    def _tell_pairs(self, fact: Event) -> None:
        if isinstance(fact, ev.MessageAccepted):
            pair = pair_of(fact.envelope)
            if pair is not None:
                self.pairs.setdefault(pair, PairWatch()).learn(fact)
            return
        for pair, watch in self.pairs.items():
            if fact.agent in pair:
                watch.learn(fact)


class Ledgers:
    """Ledgers of the runs that are asked for. The journal is the truth: nothing is counted that is not on record."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._runs: dict[tuple[str, str], RunLedger] = {}

    def of(self, fleet: str, run: str) -> RunLedger:
        """The run's ledger, with all that is on record now. Raises JournalError."""
        ledger = self._runs.setdefault((fleet, run), RunLedger())
        ledger.after, facts = self._journal.of_run_after(fleet, run, KINDS, ledger.after)
        for fact in facts:
            ledger.learn(fact)
        return ledger

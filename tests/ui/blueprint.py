"""The blueprint's story as facts: a feature, a failing test, a repair, and a question to the user."""

from __future__ import annotations

from app.domain import events as ev
from app.domain.envelope import MessageState
from app.domain.events import AgentStatus
from app.domain.interrupt import Answer, InterruptKind
from tests.ui.story import AGENTS, Story

DEV, TEST, OWNER = AGENTS
READ = (MessageState.DELIVERED, MessageState.READ)

_PROMPT = """You are dev-agent. Software developer agent responsible for implementing features.

Responsibilities:
* Implement modules for feature X
* Make changes on the implementation when requirements change

Instructions:
Implement feature X according to the blueprint."""

# Terminal output is as wide as it is.
# ruff: noqa: E501
_FAILED_RUN = """\x1b[1m============================= test session starts ==============================\x1b[0m
platform linux -- Python 3.11.2, pytest-7.2.1, pluggy-1.0.0
rootdir: /workspace
collected 5 items

test_slugify.py \x1b[32m.\x1b[0m\x1b[32m.\x1b[0m\x1b[31mF\x1b[0m\x1b[32m.\x1b[0m\x1b[31mF\x1b[0m                                                   [100%]

=================================== FAILURES ===================================
\x1b[31m\x1b[1m____________________________ test_umlauts_are_kept _____________________________\x1b[0m
    def test_umlauts_are_kept():
>       assert slugify("Grüße aus Köln") == "gruesse-aus-koeln"
\x1b[1m\x1b[31mE       AssertionError: assert 'gr-e-aus-k-ln' == 'gruesse-aus-koeln'\x1b[0m
\x1b[36m\x1b[1m=========================== short test summary info ============================\x1b[0m
\x1b[31mFAILED\x1b[0m test_slugify.py::\x1b[1mtest_umlauts_are_kept\x1b[0m
\x1b[31mFAILED\x1b[0m test_slugify.py::\x1b[1mtest_empty_text\x1b[0m
\x1b[31m========================= \x1b[31m\x1b[1m2 failed\x1b[0m, \x1b[32m3 passed\x1b[0m\x1b[31m in 0.31s\x1b[0m\x1b[31m ==========================\x1b[0m
"""
_PASSED_RUN = """test_slugify.py \x1b[32m.....\x1b[0m                                                   [100%]

\x1b[32m============================== \x1b[32m\x1b[1m5 passed\x1b[0m\x1b[32m in 0.22s\x1b[0m\x1b[32m ===============================\x1b[0m
"""
_QUESTION = """The feature is done: slugify() handles umlauts, empty text and repeated separators. All five tests pass.

One thing is not in the requirements: what should happen to characters that have no ASCII form, such as "Ωmega"?

* Drop them: "Ωmega tour" becomes "tour". Simple, but two titles may collide.
* Keep them: "Ωmega-tour". Readable for those who read them, and valid in modern URLs."""


def first_half(story: Story) -> None:
    """Up to the repair: tests have failed, dev-agent works on it."""
    story.start()
    for agent in AGENTS:
        story.state(agent, AgentStatus.STARTING, "its virtual machine comes up")
    for seconds, agent in zip((0.9, 1.2, 1.6), AGENTS, strict=True):
        story.machine(agent, seconds)
    story.turn(OWNER, 1, "You are product-owner-agent. Define features and requirements for the software.", "start")
    story.say(
        OWNER,
        1,
        "The team needs one small, well-defined feature. I will write it down and tell dev-agent.",
        thought=True,
    )
    story.say(
        OWNER, 1, "Feature X is slugify(): it turns a title into a URL part. I write the requirements down first."
    )
    story.command(OWNER, 1, "cat > requirements.md <<'EOF'\n# slugify(text)\n* lower case, words joined by '-'\nEOF")
    story.note(OWNER, "Decisions", "Feature X = slugify(text). Umlauts become ae, oe, ue; nothing is lost.")
    story.send(
        OWNER,
        DEV,
        "Feature X: slugify()",
        "Please implement slugify(text) in slugify.py.\n\nRequirements:\n* lower case, words joined by single dashes\n"
        "* umlauts become ae, oe, ue and ß becomes ss\n* empty text gives an empty string\n\nTell test-agent when done.",
        *READ,
    )
    story.end_turn(OWNER, 1, files=1)
    story.turn(DEV, 1, _PROMPT, "start")
    story.say(
        DEV,
        1,
        "The requirement is clear. unicodedata can decompose,\nbut umlauts need their own table first.",
        thought=True,
    )
    story.say(DEV, 1, "I write slugify.py with a small translation table and try it by hand.")
    story.command(DEV, 1, "python3 -c \"from slugify import slugify; print(slugify('Hello, World'))\"", "hello-world\n")
    story.note(DEV, "Notes", "slugify.py: regular expression over [^a-z0-9]+; umlauts still to do.")
    story.send(
        DEV, TEST, "slugify.py is ready to test", "The first version is in slugify.py. It has no dependencies.", *READ
    )
    story.end_turn(DEV, 1, files=2)
    story.turn(TEST, 1, "You are test-agent. Run test suite and report failures.", "start")
    story.say(TEST, 1, "I write five tests from the requirements and run them.")
    story.command(TEST, 1, "pytest -q --color=yes", _FAILED_RUN, 1, pieces=4)
    story.note(TEST, "Findings", "2 of 5 fail: umlauts are dropped, empty text raises IndexError.")
    story.send(
        TEST,
        DEV,
        "2 of 5 tests fail",
        "FAILED test_umlauts_are_kept: 'gr-e-aus-k-ln' instead of 'gruesse-aus-koeln'\n"
        "FAILED test_empty_text: IndexError: list index out of range\n\nThe tests are in test_slugify.py.",
        *READ,
    )
    story.end_turn(TEST, 1, files=1)
    story.turn(DEV, 2, "You have 1 new message.\n\nFrom test-agent: 2 of 5 tests fail")
    story.say(
        DEV, 2, "Both failures are real. The table must be applied before the expression; empty text returns early."
    )


def with_question(story: Story) -> str:
    """Up to the question of the product owner; gives its id."""
    first_half(story)
    story.command(DEV, 2, "python3 -m unittest -q", "Ran 0 tests in 0.000s\n\nOK\n")
    story.send(DEV, TEST, "Repaired: umlauts and empty text", "Both are repaired; please run the tests again.", *READ)
    story.note(DEV, "Notes", "Umlauts: str.translate before re.sub. Empty text returns ''.", 2)
    story.end_turn(DEV, 2, files=1)
    story.turn(TEST, 2, "You have 1 new message.\n\nFrom dev-agent: Repaired: umlauts and empty text")
    story.command(TEST, 2, "pytest -q --color=yes", _PASSED_RUN, pieces=2)
    story.send(TEST, OWNER, "All 5 tests pass", "All five tests pass now. The report is in report.txt.", *READ)
    story.end_turn(TEST, 2, files=2)
    report = story.ask(TEST, "5 of 5 tests pass; the suite takes 0.2 s", kind=InterruptKind.PROGRESS_REPORT)
    story.turn(OWNER, 2, "You have 1 new message.\n\nFrom test-agent: All 5 tests pass")
    story.answered(report, Answer())
    story.say(OWNER, 2, "The tests reflect the requirements. One point is open, and it is not mine to decide.")
    question = story.ask(
        OWNER,
        "What should slugify() do with characters that have no ASCII form?",
        _QUESTION,
        ("Drop them", "Keep them", "Raise an error"),
        "Keep them",
    )
    story.state(OWNER, AgentStatus.WAITING, "waits for your answer", 2)
    story.turn(DEV, 3, "You have 1 new message.")
    running = story.begin_command(DEV, 3, "python3 benchmark.py --titles 100000")
    story.output(DEV, 3, running, "reading titles … 100000\nwarming up\n")
    story.send("user", DEV, "", "Please also keep an eye on speed.", MessageState.DELIVERED)
    story.send(DEV, OWNER, "Speed of slugify()", "100,000 titles in 0.8 s so far; I measure again with umlauts.")
    return question


def to_the_end(story: Story) -> None:
    """The whole run."""
    question = with_question(story)
    story.answered(question, Answer(option="Keep them", text="Non-ASCII letters are fine in our URLs."))
    for agent in AGENTS:
        story.tell(ev.AgentFinished, agent, summary="slugify() is implemented, tested and accepted.")
        story.state(agent, AgentStatus.COMPLETED, "its task is complete", 3)
    story.end()

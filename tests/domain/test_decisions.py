"""``decide``: which rule gives the verdict, and that no disguise of a denied command is ever allowed."""

from __future__ import annotations

import shlex
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.decisions import ChangeFiles, RunCommand, UseTool, decide, remembered
from app.domain.rules import Rules
from tests.domain.test_shell import FORMS

RULES = Rules.model_validate(
    {
        "commands": {
            "deny": ["rm -rf /*", "git push --force *", "curl"],
            "ask": ["git push *", "sudo *"],
            "allow": ["ls *", "git status"],
        },
        "files": {"deny": ["secrets/**", "/etc/shadow"], "read_only": ["tests/**", "*.lock"]},
    }
)
STRICT = RULES.model_copy(update={"approve": "ask"})


def test_tools_by_their_names() -> None:
    said = Rules.model_validate({"tools": {"deny": ["request_*", "mcp__web__*"], "ask": ["finish", "request_debug"]}})
    for title, own, verdict, rule in (
        ("finish", True, "ask", "tools.ask: finish"),
        ("request_debug", True, "deny", "tools.deny: request_*"),
        ("send_message", True, "allow", "tools of Skerry"),
        ("mcp__web__fetch", False, "deny", "tools.deny: mcp__web__*"),
        ("Fetch a page", False, "allow", "approve: auto"),
    ):
        decision = decide(said, UseTool(title, own)).decision
        assert (decision.verdict, decision.rule) == (verdict, rule), title
    strict = said.model_copy(update={"approve": "deny"})
    assert decide(strict, UseTool("send_message", own=True)).decision.verdict == "allow"
    assert decide(strict, UseTool("Fetch a page")).decision.verdict == "deny"


def verdict(command: str, rules: Rules = RULES, always: tuple[str, ...] = (), folder: str = "/workspace") -> str:
    decision = decide(rules, RunCommand(command, folder), always).decision
    return f"{decision.verdict} {decision.rule}"


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_asked_about(form: str) -> None:
    asked = Rules.model_validate({"commands": {"ask": ["git push *"]}})
    assert verdict(FORMS[form], asked).startswith("ask ")
    denied = Rules.model_validate({"commands": {"deny": ["git push"]}})
    assert verdict(FORMS[form], denied) == "deny commands.deny: git push"
    if "push" in FORMS[form]:
        assert verdict(FORMS[form].replace("push", "pull"), denied).startswith(("allow approve", "ask"))


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("rm -rf /", "deny commands.deny: rm -rf /*"),
        ("rm -fr /etc", "deny commands.deny: rm -rf /*"),
        ("rm -r -f -v -- /etc", "deny commands.deny: rm -rf /*"),
        ("rm --recursive --force build /etc", "deny commands.deny: rm -rf /*"),
        ("rm -Rf //etc/.", "deny commands.deny: rm -rf /*"),
        ("rm -rf ../etc", "deny commands.deny: rm -rf /*"),
        ("cd / && rm -rf etc", "deny commands.deny: rm -rf /*"),
        ("rm -rf ~", "deny commands.deny: rm -rf /*"),
        ("rm -rf build", "allow approve: auto"),
        ("rm -r /tmp/x", "allow approve: auto"),
        ("rm -rf $X", "ask commands.deny: rm -rf /*"),
        ("cd $X; rm -rf y", "ask commands.deny: rm -rf /*"),
        ("rm $X", "ask commands.deny: rm -rf /*"),
        ("git push", "ask commands.ask: git push *"),
        ("git push --force", "deny commands.deny: git push --force *"),
        ("git push origin main --force", "deny commands.deny: git push --force *"),
        ("git -C other -c a=b push --force", "deny commands.deny: git push --force *"),
        ("git commit -m push", "allow approve: auto"),
        ("git pushy", "allow approve: auto"),
        ("git $X", "ask commands.deny: git push --force *"),
        ("curl -s example.org", "deny commands.deny: curl"),
        ("curly", "allow approve: auto"),
        ("echo curl", "allow approve: auto"),
        ("echo 'rm -rf /'", "allow approve: auto"),
        ("ls -l; sudo ls", "ask commands.ask: sudo *"),
        ("sudo curl x", "deny commands.deny: curl"),
        ("$X", "ask commands.deny: rm -rf /*"),
        ("echo 'open", "ask what cannot be read"),
        ("", "allow approve: auto"),
    ],
)
def test_commands(command: str, expected: str) -> None:
    assert verdict(command) == expected


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("ls", "allow commands.allow: ls *"),
        ("/bin/ls -l | ls", "allow commands.allow: ls *"),
        ("/tmp/ls", "ask approve: ask"),
        ("PATH=/tmp ls", "ask approve: ask"),
        ("git status", "allow commands.allow: git status"),
        ("git status -s", "ask approve: ask"),
        ("ls; make", "ask approve: ask"),
        ("x=1", "ask approve: ask"),
    ],
)
def test_what_no_rule_names_and_what_one_allows(command: str, expected: str) -> None:
    assert verdict(command, STRICT) == expected


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("cat secrets/key", "deny files.deny: secrets/**"),
        ("cat ./a/../secrets//key", "deny files.deny: secrets/**"),
        ("cat /workspace/secrets/deep/key", "deny files.deny: secrets/**"),
        ("cat < secrets/key", "deny files.deny: secrets/**"),
        ("ls secrets", "deny files.deny: secrets/**"),
        ("cd secrets; cat key", "deny files.deny: secrets/**"),
        ("tool --file=secrets/key", "deny files.deny: secrets/**"),
        ("cat ../etc/shadow", "deny files.deny: /etc/shadow"),
        ("cat secretsx/key", "allow approve: auto"),
        ("cat sec*/key", "ask files.deny: secrets/**"),
        ("cat */key", "ask files.deny: secrets/**"),
        ("pytest tests", "allow approve: auto"),
        ("cat tests/a.py a.lock", "allow approve: auto"),
        ("echo x > tests/a.py", "deny files.read_only: tests/**"),
        ("echo x | tee -a tests/a.py", "deny files.read_only: tests/**"),
        ("sed -i s/a/b/ tests/a.py", "deny files.read_only: tests/**"),
        ("rm a.lock", "deny files.read_only: *.lock"),
        ("rm b/a.lock", "allow approve: auto"),
        ("rm -r .", "deny files.deny: secrets/**"),
        ("mv tests other", "deny files.read_only: tests/**"),
        ("sh -c 'touch tests/new'", "deny files.read_only: tests/**"),
    ],
)
def test_files_that_commands_name(command: str, expected: str) -> None:
    assert verdict(command) == expected


def test_files_an_agent_changes_itself() -> None:
    for path, rule in (("tests/a.py", "files.read_only: tests/**"), ("/workspace/secrets/x", "files.deny: secrets/**")):
        decision = decide(RULES, ChangeFiles(("src/a.py", path))).decision
        assert (decision.verdict, decision.rule) == ("deny", rule)
    assert decide(RULES, ChangeFiles(("src/a.py",))).decision.verdict == "allow"
    assert decide(STRICT, ChangeFiles(("src/a.py",))).decision.verdict == "ask"
    assert decide(RULES, ChangeFiles(())).decision.verdict == "ask", "nobody knows which"


def test_what_is_no_command_is_left_to_the_default() -> None:
    assert decide(RULES, UseTool("open a browser")).decision.verdict == "allow"
    assert decide(STRICT, UseTool("open a browser")).decision.verdict == "ask"


def test_what_cannot_be_read_is_denied_where_the_default_is() -> None:
    rules = RULES.model_copy(update={"approve": "deny"})
    assert verdict("ls 'open", rules) == "deny what cannot be read"
    assert verdict("git $X", rules) == "deny commands.deny: git push --force *"


def test_without_rules_nothing_is_looked_at() -> None:
    assert verdict("echo 'open", Rules()) == "allow approve: auto"


def test_always_allows_what_was_asked_and_nothing_else() -> None:
    first = decide(RULES, RunCommand("cd x && git push 'a b' '*'"))
    assert first.always == ("git push 'a b' '\\*'",)
    assert verdict("git push 'a b' '*'", always=first.always) == "allow approvals.yaml"
    assert verdict("git push 'a b' cd", always=first.always) == "ask commands.ask: git push *"
    assert verdict("git push 'a b' '*' --force", always=first.always) == "deny commands.deny: git push --force *"
    assert verdict("git push x", always=("git push *",)) == "allow approvals.yaml"


def test_always_never_goes_over_a_denial() -> None:
    assert verdict("curl x", always=("curl x", "*")) == "deny commands.deny: curl"


def test_what_could_not_be_told_is_remembered_as_a_whole() -> None:
    first = decide(RULES, RunCommand('git push "$X"'))
    assert first.decision.verdict == "ask"
    assert verdict('git push "$X"', always=first.always) == "allow approvals.yaml"
    assert verdict('git push "$Y"', always=first.always).startswith("ask")


WRAPS = (
    *("{}", "({})", "{{ {}; }}", "ls; {}", "ls | {}", "true && {}", "{} &", "! {}", "x=1; {}", "f() {{ {}; }}; f"),
    *("echo $({})", "echo `{}`", "cat <({})", 'echo "$({})"'),
    *("if x; then {}; fi", "for i in a; do {}; done", "while x; do {}; done", "case x in a) {};; esac"),
)
PREFIXES = ("sudo ", "env A=b ", "A=b ", "nice -n 5 ", "timeout 5 ", "nohup ", "command ", "/usr/bin/env ", "time ")
SHELLS = ("sh -c {}", "bash -lc {}", "eval {}", "su -c {}", "ssh host {}", "env -S {}", "sudo bash -c {}")

KEYWORDS = ("if", "for", "while", "f(", "(", "{", "!", "`")


def wrap(form: str, text: str) -> str:
    """``text`` within ``form``, where the shell would take it."""
    if "`" in form and "`" in text:
        return text
    return form.format(text)


def prefixed(prefix: str, text: str) -> str:
    return text if text.startswith(KEYWORDS) else prefix + text


wrapping = st.one_of(
    st.sampled_from(WRAPS).map(lambda form: lambda text: wrap(form, text)),
    st.sampled_from(PREFIXES).map(lambda prefix: lambda text: prefixed(prefix, text)),
    st.sampled_from(SHELLS).map(lambda form: lambda text: form.format(shlex.quote(text))),
)
Wrap = Callable[[str], str]


@given(
    st.sampled_from(["curl x", "rm -rf /", "git push --force", "c'u'rl x", "/usr/bin/curl x"]),
    st.lists(wrapping, max_size=4),
)
def test_no_wrapping_makes_a_denied_command_allowed(denied: str, wraps: list[Wrap]) -> None:
    text = denied
    for one in wraps:
        text = one(text)
    assert decide(RULES, RunCommand(text)).decision.verdict in ("deny", "ask"), text


@given(st.lists(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1), min_size=1, max_size=4))
def test_what_is_remembered_fits_itself_and_no_other(words: list[str]) -> None:
    rules = Rules.model_validate({"commands": {"ask": ["program *"]}})
    entry = remembered(["program", *words])
    assert verdict(shlex.join(["program", *words]), rules, (entry,)) == "allow approvals.yaml"
    assert verdict(shlex.join(["program", *words, "more"]), rules, (entry,)).startswith("ask")


@pytest.mark.parametrize(
    "text",
    [
        "(" * 30_000,
        "$(" * 1000 + ")" * 1000,
        "x " * 30_000,
        "rm -rf " + "$X " * 3000,
        "rm " + "a*" * 3000,
        "a" * 60_000,
    ],
)
def test_hostile_text_gets_a_verdict(text: str) -> None:
    many_stars = Rules.model_validate({"commands": {"deny": ["*a*a*a*a*b", "x *a* *b* *c* d"]}})
    assert decide(many_stars, RunCommand(text)).decision.verdict in ("allow", "ask")


@given(st.text(st.sampled_from("rmgitpus curl-/*$'\"\\()|&;<>`\n\t{}=~.")))
def test_any_text_gets_a_verdict(text: str) -> None:
    judged = decide(RULES, RunCommand(text))
    assert judged.decision in judged.parts and judged.decision.rule

"""Shell commands taken apart: each form of nesting, and what is said to be unclear."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.shell import UNKNOWN, read_script

FORMS = {
    "plain": "git push",
    "pipe": "cat x | git push",
    "semicolon": "ls; git push",
    "and": "true && git push",
    "or": "false || git push",
    "background": "git push & ls",
    "newline": "ls\ngit push\n",
    "continued line": "git \\\n  push",
    "subshell": "(cd x; git push)",
    "group": "{ git push; }",
    "substitution": "echo $(git push)",
    "substitution in quotes": 'echo "a $(git push) b"',
    "backquotes": "echo `git push`",
    "process substitution": "diff <(git push) x",
    "output to a process": "ls > >(git push)",
    "sh -c": "sh -c 'git push'",
    "bash -lc": 'bash -lc "ls && git push"',
    "bash with options": "bash --norc -o pipefail -ec 'git push'",
    "nested shells": """bash -c "sh -c 'git push'" """,
    "eval": "eval 'git push'",
    "eval of words": "eval git push",
    "assignment": "A=b git push",
    "env": "env A=b C=d git push",
    "env with options": "env -i -u X A=b git push",
    "env -S": "env -S 'git push'",
    "sudo": "sudo git push",
    "sudo with options": "sudo -n -u root -- git push",
    "sudo with an assignment": "sudo A=b git push",
    "doas": "doas -u root git push",
    "nice": "nice -n 5 git push",
    "ionice": "ionice -c 3 git push",
    "nohup": "nohup git push &",
    "timeout": "timeout -k 5 10 git push",
    "time": "time git push",
    "time with options": "/usr/bin/time -f %e git push",
    "xargs": "echo x | xargs -n 1 git push",
    "find -exec": "find . -name x -exec git push \\;",
    "find -exec +": "find . -exec git push {} +",
    "exec": "exec git push",
    "exec -a": "exec -a name git push",
    "command": "command git push",
    "builtin": "builtin command git push",
    "setsid": "setsid git push",
    "stdbuf": "stdbuf -oL -e 0 git push",
    "ssh": "ssh -p 22 host git push",
    "ssh with one word": "ssh host 'ls; git push'",
    "double quotes": '"git" "push"',
    "single quotes": "'git' 'push'",
    "quotes within": "g\"i\"t pu's'h",
    "escapes": "g\\it \\push",
    "ansi quotes": "$'\\x67it' push",
    "full path": "/usr/bin/git push",
    "here-document of a shell": "bash <<'END'\ngit push\nEND\n",
    "here-string of a shell": "sh <<< 'git push'",
    "within a here-document": "cat <<END\n$(git push)\nEND\n",
    "function": "f() { git push; }; f",
    "function keyword": "function f { git push; }",
    "for": "for i in a b; do git push; done",
    "while": "while true; do git push; done",
    "until": "until git push; do sleep 1; done",
    "if": "if ls; then git push; fi",
    "else": "if ls; then x; else git push; fi",
    "condition": "if git push; then x; fi",
    "case": "case x in a) git push;; esac",
    "select": "select x in a; do git push; done",
    "negated": "! git push",
    "coproc": "coproc git push",
    "trap": "trap 'git push' EXIT",
    "alias": "alias x='git push'",
    "su": "su -c 'git push' root",
    "flock": "flock -n file git push",
    "flock -c": "flock file -c 'git push'",
    "watch": "watch -n 1 git push",
    "script": "script -c 'git push' file",
    "in an assignment": "x=$(git push)",
    "in an export": "export X=`git push`",
    "in arithmetic": "echo $(( $(git push) + 1 ))",
    "in a test": "[[ -n $(git push) ]]",
    "in a parameter": "echo ${x:-$(git push)}",
    "in a redirection": "ls > $(git push)",
    "wrapped often": "sudo nice -n 1 timeout 5 env A=b nohup setsid git push",
    "unknown option": "sudo --new-option git push",
}


@pytest.mark.parametrize("form", FORMS)
def test_forms(form: str) -> None:
    found = [command.words for command in read_script(FORMS[form]).commands]
    assert any(words[0].rpartition("/")[2] == "git" and words[1] == "push" for words in found), found


@pytest.mark.parametrize(
    "text",
    [
        "$X push",
        "$(which git) push",
        "`which git` push",
        "/bin/g?t push",
        "/bin/g* push",
        "{git,push}",
        'sh -c "$X"',
        "eval $X",
        'eval "git $X"',
        "curl x | sh",
        "bash -s < x",
        "bash",
        "sudo -i",
        "git push (",
        "echo 'open",
        "echo $((",
        "a\x00b",
        "git\u00a0push",
        "git push\r",
        "\ud800",
        "x" * 70_000,
        "ls <<A <<B\na\nA\nb\nB\n",
        "cat <<E\n`git push`\nE\n",
        "sudo $OPTIONS git push",
        'env -S "$X"',
        "ssh host $COMMAND",
        "parallel ::: ls",
    ],
)
def test_what_cannot_be_known_is_said(text: str) -> None:
    assert read_script(text).unclear


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("echo 'a b' \"c d\" e\\ f", ("echo", "a b", "c d", "e f")),
        ("echo \"a\\$b\\\\\" 'x\\y'", ("echo", "a$b\\", "x\\y")),
        ("echo $'a\\tb\\x41\\'' ''", ("echo", "a\tbA'", "")),
        ("echo ~/x '~/x' \\~ a~", ("echo", "/home/agent/x", "~/x", "~", "a~")),
        ('echo $X a$Y"$Z"b *.py', ("echo", UNKNOWN, f"a{UNKNOWN}{UNKNOWN}b", f"{UNKNOWN}.py")),
        ("echo a#b # c", ("echo", "a#b")),
        ("git -c a=b --x='y z'", ("git", "-c", "a=b", "--x=y z")),
        ('grep \'{"a": 1, "b": 2}\' {}', ("grep", '{"a": 1, "b": 2}', "{}")),
    ],
)
def test_words_are_those_the_shell_makes(text: str, words: tuple[str, ...]) -> None:
    (command,) = read_script(text).commands
    assert command.words == words
    assert not read_script(text).unclear


def test_files_of_redirections() -> None:
    script = read_script("sort < in > out 2>> err 2>&1; cat <<< x &> both; >| forced")
    assert (script.written, script.read) == (["out", "err", "both", "forced"], ["in"])
    assert read_script("cat 3<> both").unclear, "the grammar does not know it"


def test_a_lookup_runs_nothing() -> None:
    assert len(read_script("command -v git").commands) == 1


@given(st.lists(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1), min_size=1, max_size=5))
def test_what_is_quoted_comes_back(words: list[str]) -> None:
    line = shlex.join(["program", *words])
    script = read_script(line)
    assert [command.words for command in script.commands][:1] == [("program", *words)]
    assert not script.unclear


@given(st.text())
def test_no_text_is_too_odd(text: str) -> None:
    assert read_script(text) == read_script(text)


@given(st.text(st.sampled_from("ab \n\t'\"\\$`(){}[]<>|&;#!*?~=-/:,.0%@^+")))
def test_nor_any_heap_of_signs(text: str) -> None:
    for command in read_script(text).commands:
        assert command.words

"""Loading a project: every mistake gets file, line, column, what was found and the nearest right word."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.config import ProjectInvalid, load_project, load_rules, parse_fleet, prepare_project
from app.domain.errors import ConfigError
from tests.conftest import WriteProject

ONE = "agents:\n  - id: dev-agent\n    type: codex\n"

# text, place, words the complaint must hold
BAD = {
    "unknown key": (ONE + "    respnsibilities: [a]\n", "4:5", ["agents[0].respnsibilities", "'responsibilities'"]),
    "unknown key at the top": ("agnts: []\n" + ONE, "1:1", ["agnts", "did you mean 'agents'"]),
    "unknown key below": (ONE + "    limits:\n      trns: 3\n", "5:7", ["agents[0].limits.trns", "'turns'"]),
    "unknown key of the project": ("project: {nmae: x}\n" + ONE, "1:11", ["project.nmae", "'name'"]),
    "unknown key of a provider": (
        "providers:\n  local: {api: openai, base_url: 'http://x', credentail: env:X}\n" + ONE,
        "2:46",
        ["providers.local.credentail", "'credential'"],
    ),
    "wrong type: text for a list": (ONE + "    direct_communication: test\n", "4:27", ["a list", "found 'test'"]),
    "wrong type: number for text": (ONE + "    description: 5\n", "4:18", ["expected text", "found 5"]),
    "wrong type: text for a number": (ONE + "    limits: {turns: many}\n", "4:21", ["whole number", "'many'"]),
    "wrong type: yes for a number": (ONE + "    limits: {cost_usd: yes}\n", "4:24", ["a number", "true"]),
    "wrong type: a list for an agent": ("agents:\n  - [a]\n", "2:5", ["agents[0]", "mapping", "found a list"]),
    "wrong type: agents": ("agents: dev\n", "1:9", ["agents", "expected a list", "'dev'"]),
    "wrong word": ("agents:\n  - id: a\n    type: codx\n", "3:11", ["agents[0].type", "did you mean 'codex'"]),
    "wrong version": ("version: 2\n" + ONE, "1:10", ["version", "expected 1", "found 2"]),
    "wrong size": (ONE + "    sandbox: {memory: lots}\n", "4:23", ["512MiB", "'lots'"]),
    "wrong duration": (ONE + "    limits: {stall: 10 parsecs}\n", "4:21", ["30s, 10m", "'10 parsecs'"]),
    "wrong id": ("agents:\n  - id: Dev Agent\n    type: codex\n", "2:9", ["agents[0].id", "small letter"]),
    "wrong credential": (
        "providers:\n  local: {api: openai, base_url: 'http://x', credential: sk-123}\n" + ONE,
        "2:58",
        ["env:VARIABLE, keyring:name or file:/path"],
    ),
    "missing key": ("agents:\n  - type: codex\n", "2:5", ["agents[0].id", "'id' is missing"]),
    "missing agents": ("version: 1\n", "1:1", ["agents", "missing"]),
    "no agents": ("agents: []\n", "1:9", ["agents", "at least one"]),
    "nothing given": ("agents:\n", "1:8", ["agents", "expected a list", "nothing"]),
    "duplicate id": (ONE + "  - id: dev-agent\n    type: codex\n", "4:9", ["agents[1].id", "used twice", "agents[0]"]),
    "reserved id": ("agents:\n  - id: user\n    type: codex\n", "2:9", ["reserved"]),
    "unknown recipient": (
        ONE + "    direct_communication: [tset-agent]\n  - id: test-agent\n    type: codex\n",
        "4:28",
        ["agents[0].direct_communication[0]", "'tset-agent'", "did you mean 'test-agent'"],
    ),
    "unknown provider": (ONE + "    provider: opnai\n", "4:15", ["agents[0].provider", "did you mean 'openai'"]),
    "itself as recipient": (ONE + "    direct_communication: [dev-agent]\n", "4:28", ["itself"]),
    "path that leaves": (
        ONE + "    rules_file: ../rules.md\n",
        "4:17",
        ["agents[0].rules_file", "leaves", "../rules.md"],
    ),
    "absolute path": (ONE + "    sandbox_path: /etc\n", "4:19", ["agents[0].sandbox_path", "leaves"]),
    "path of a home": (ONE + "    memory_file: ~/m.md\n", "4:18", ["agents[0].memory_file", "leaves"]),
    "mistake in the defaults": ("defaults: {limits: {turns: x}}\n" + ONE, "1:28", ["defaults.limits.turns"]),
    "duplicate key": (ONE + "    type: codex\n", "4:5", ["agents[0].type", "twice", "line 3"]),
    "syntax: bracket": (ONE + "    responsibilities: [a, b\nproject: {name: x}\n", "5:8", ["not YAML"]),
    "syntax: colon": (ONE + "    description: one: two\n", "4:21", ["not YAML", "quotes"]),
    "syntax: tab": ("agents:\n\t- id: a\n", "2:1", ["not YAML", "spaces"]),
    "syntax: indentation": ("agents:\n  - id: a\n   type: codex\n", "3:4", ["not YAML"]),
    "syntax: unknown alias": ("agents: *nobody\n", "1:9", ["not YAML", "nobody"]),
    "two documents": (ONE + "---\nagents: []\n", "4:1", ["not YAML", "document"]),
    "a value that holds itself": ("agents: &a\n  - *a\n", "1:9", ["alias"]),
    "a tag": ("agents: !!python/object:os.system {}\n", "1:9", ["tag"]),
    "nested without end": ("[" * 5000, "1:1", ["nested"]),
    "half a character": (ONE + '    description: "\\ud83d"\n', "4:18", ["half"]),
    "no end of cost": (ONE + "    limits: {cost_usd: .inf}\n", "4:24", ["finite"]),
    "an odd key": ("? [a]\n: 1\n", "1:3", ["key"]),
    "a control character": ("agents: [\x07]\n", "1:10", ["U+0007"]),
    "not UTF-8": (b"agents:\n  - id: caf\xe9\n", "2:12", ["0xE9", "UTF-8"]),
    "empty": ("", "1:1", ["empty", "agents:"]),
    "only a comment": ("# later\n", "1:1", ["empty"]),
    "not a mapping": ("- a\n- b\n", "1:1", ["expected a mapping", "found a list"]),
    "command for codex": (ONE + "    command: [x]\n", "4:14", ["agents[0].command", "acp"]),
    "acp without command": ("agents:\n  - id: a\n    type: acp\n", "3:11", ["needs 'command'"]),
    "a number too large": (ONE + "    sandbox: {cpus: 65}\n", "4:21", ["less than or equal to 64", "65"]),
}


@pytest.mark.parametrize("name", BAD)
def test_one_mistake_one_complaint(name: str, write_project: WriteProject) -> None:
    text, place, words = BAD[name]
    folder = write_project(text)
    with pytest.raises(ProjectInvalid) as caught:
        load_project(folder)
    said = str(caught.value)
    assert len(caught.value.complaints) == 1, said
    assert said.startswith(f"{folder}/agents.yaml:{place}: "), said
    assert [word for word in words if word not in said] == [], said


def test_a_key_in_the_wrong_place_is_not_repeated(write_project: WriteProject) -> None:
    with pytest.raises(ProjectInvalid) as caught:
        load_project(write_project("providers: {openai: {credential: sk-123}}\n" + ONE))
    assert "sk-123" not in str(caught.value)


def test_several_mistakes_come_together_in_the_order_of_the_file(write_project: WriteProject) -> None:
    folder = write_project(
        "colour: red\nagents:\n  - id: a\n    type: codx\n  - id: a\n    rules_file: /x\n    type: codex\n"
    )
    with pytest.raises(ProjectInvalid) as caught:
        load_project(folder)
    assert [complaint.path for complaint in caught.value.complaints] == [
        "colour",
        "agents[0].type",
        "agents[1].id",
        "agents[1].rules_file",
    ]


def test_a_link_that_leads_out_is_found(write_project: WriteProject, tmp_path: Path) -> None:
    folder = write_project(ONE + "    sandbox_path: ./out/sandbox\n")
    (folder / "out").symlink_to(tmp_path)
    with pytest.raises(ProjectInvalid, match=r"agents.yaml:4:19: .*symbolic link"):
        load_project(folder)


def test_a_link_that_stays_inside_is_fine(write_project: WriteProject) -> None:
    folder = write_project(ONE + "    sandbox_path: ./in/sandbox\n")
    (folder / "real").mkdir()
    (folder / "in").symlink_to("real")
    assert load_project(folder).fleet.agents[0].sandbox_path == "in/sandbox"


@pytest.mark.parametrize("indent", ["\t", "  "])
def test_json_is_equal(write_project: WriteProject, indent: str) -> None:
    text = '{\n\t"agents": [\n\t\t{"id": "a", "type": "codex", "description": "\\ud83d\\ude00 \\/"}\n\t]\n}\n'
    folder = write_project(text.replace("\t", indent), "agents.json")
    assert load_project(folder).fleet.agents[0].description == "\N{GRINNING FACE} /"


@pytest.mark.parametrize(
    ("text", "place", "word"),
    [
        ('{"agents": [,]}', "1:13", "not JSON"),
        ('{\n\t"agents": [\n\t\t{"id": "a", "type": "codx"}\n\t]\n}', "3:23", "'codex'"),
        ('{"agents": [], "agents": []}', "1:16", "twice"),
        ("agents: []", "1:1", "not JSON"),
        ("[" * 100_000, "1:1", "nested"),
    ],
)
def test_mistakes_in_json(write_project: WriteProject, text: str, place: str, word: str) -> None:
    folder = write_project(text, "agents.json")
    with pytest.raises(ProjectInvalid) as caught:
        load_project(folder)
    assert f"agents.json:{place}: " in str(caught.value)
    assert word in str(caught.value)


def test_no_project_here(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"has no agents\.yaml"):
        load_project(tmp_path)
    with pytest.raises(ConfigError, match="does not exist"):
        load_project(tmp_path / "nowhere")


def test_two_files_are_one_too_many(write_project: WriteProject) -> None:
    write_project(ONE)
    folder = write_project("{}", "agents.json")
    with pytest.raises(ConfigError, match="both"):
        load_project(folder)


def test_a_file_that_is_too_large(write_project: WriteProject) -> None:
    with pytest.raises(ProjectInvalid, match="bytes"):
        load_project(write_project("#" * 1_048_577))


def test_a_file_that_unfolds_without_end(write_project: WriteProject) -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 8)]
    with pytest.raises(ProjectInvalid, match="more than"):
        load_project(write_project("\n".join(levels)))


def test_the_project_knows_its_places(write_project: WriteProject) -> None:
    folder = write_project("project: {name: Feature X!}\n" + ONE)
    (folder.parent / "repo" / ".git").mkdir(parents=True)
    (folder / "agents.yaml").write_text("project: {name: Feature X!, repository: ../repo}\n" + ONE)
    project = load_project(folder / "agents.yaml")
    agent = project.fleet.agents[0]
    assert project.root == folder.resolve()
    assert project.rules_file(agent) == project.root / "agents/dev-agent/rules.md"
    assert project.repository == project.root.parent / "repo"
    assert project.fleet_id.startswith("feature-x-")
    assert project.fleet_id == load_project(folder).fleet_id


def test_fleet_ids_differ_between_folders(tmp_path: Path) -> None:
    ids = set()
    for name in ("one/team", "two/team", "three/\N{SNOWMAN}"):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        (folder / "agents.yaml").write_text(ONE)
        ids.add(load_project(folder).fleet_id)
    assert len(ids) == 3
    assert {fleet_id.rpartition("-")[0] for fleet_id in ids} == {"team", "project"}


def test_preparing_makes_what_is_missing_and_keeps_what_is_there(write_project: WriteProject) -> None:
    folder = write_project(ONE)
    project = load_project(folder)
    agent = project.fleet.agents[0]
    project.rules_file(agent).parent.mkdir(parents=True)
    project.rules_file(agent).write_text("mine")
    assert prepare_project(project) == [project.memory_file(agent)]
    assert prepare_project(project) == []
    assert project.rules_file(agent).read_text() == "mine"
    assert project.memory_file(agent).stat().st_mode & 0o777 == 0o600
    assert project.sandbox_path(agent).is_dir()


def test_loading_writes_nothing(write_project: WriteProject) -> None:
    folder = write_project(ONE)
    load_rules(load_project(folder), load_project(folder).fleet.agents[0])
    assert [entry.name for entry in os.scandir(folder)] == ["agents.yaml"]


@pytest.mark.parametrize(
    ("text", "place", "word"),
    [
        ("---\ncommands: {dny: [a]}\n---\n", "2:12", "'deny'"),
        ("---\napprove: aut\n---\n", "2:10", "'auto'"),
        ("---\n- a\n---\n", "2:1", "a list"),
        ("---\nfiles: [\n---\n", "3:1", "not YAML"),
        ("---\napprove: ask\n", "1:1", "closing"),
    ],
)
def test_mistakes_in_rules(write_project: WriteProject, text: str, place: str, word: str) -> None:
    project = load_project(write_project(ONE))
    prepare_project(project)
    file = project.rules_file(project.fleet.agents[0])
    file.write_text(text)
    with pytest.raises(ProjectInvalid) as caught:
        load_rules(project, project.fleet.agents[0])
    assert str(caught.value).startswith(f"{file}:{place}: ")
    assert word in str(caught.value)


@given(st.one_of(st.text(), st.text(alphabet="agents: -[]{}&*!\n\t'\"|>#id:type codex,?%@`")))
def test_any_text_is_a_fleet_or_a_complaint(text: str) -> None:
    try:
        parse_fleet(text.encode("utf-8", "surrogatepass"), Path("agents.yaml"))
    except ProjectInvalid as error:
        assert all(complaint.line >= 1 and complaint.column >= 1 for complaint in error.complaints)

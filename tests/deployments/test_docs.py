"""What the README, the pages of docs/ and their neighbours show can be typed and does exist.

Commands of `mlo` are parsed by the command line itself, without running them: the commands and
the options exist. SQL runs on an empty history. YAML that is settings, or our runtime file,
is read as such. Other programs are only told apart from typing errors.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer
from ruamel.yaml import YAML
from typer.core import TyperGroup

from deployments.cli import app
from helm.generate import CHART_VALUES
from policy.document import parse
from policy.frames import LIMITS
from policy.settings import Settings, parse_settings
from policy.settings.pending import set_without_effect
from policy.settings.schema import located
from policy.settings.section import fold, spellings
from storage.client import check_statements
from storage.database import Database
from tasks.settings import load_settings

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
SHELLS = ("sh", "bash", "shell", "console")
# Run by tests/tasks/test_channel_webhook.py and tests/docs/test_maths.py.
RUN_ELSEWHERE = ("python",)
PROSE = ("", "text", "mermaid", "json", "csv", "promql", "diff", "markdown", "toml")
OURS = ("mlo", ".venv/bin/mlo")
OTHER_PROGRAMS = (
    *("cat", "cd", "cp", "curl", "echo", "git", "grep", "head"),
    *("helm", "jq", "kubectl", "less", "mkdir"),
)
PREFECT_YAML = ROOT / "deployments" / "prefect.yaml"
POOLS = ROOT / "deployments" / "pools"
ROOMS = "helm|policy|storage|tasks|flows|deployments|simulator|tests|docs|benchmarks"
# Typer keeps the class to itself; what it shows of it is a subclass.
USAGE_ERROR = typer.BadParameter.__bases__[0]
FENCED = re.compile(r"^ *```(\w*)[^\n]*\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
FLOW = re.compile(r'^@flow\(name="(\w+)"', re.MULTILINE)
VARIABLE = re.compile(r"([A-Z][A-Z0-9_]*)=(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    words: tuple[str, ...]
    variables: dict[str, str]
    told_in: str

    def __str__(self) -> str:
        return f"{self.told_in} {' '.join(self.words)}"


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for match in FENCED.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        yield Block(page=page, line=line, language=match[1], text=match[2])


def commands(block: Block) -> Iterator[Command]:
    """What is typed: the lines after a `$` of a console, every line of a script."""
    joined = block.text.replace("\\\n", " ")
    lines = [line.strip() for line in joined.splitlines()]
    if block.language == "console" or any(line.startswith("$ ") for line in lines):
        lines = [line[2:] for line in lines if line.startswith("$ ")]
    for line in lines:
        try:
            found = list(simple_commands(line))
        except ValueError as exc:
            raise ValueError(f"{block}: {line}: {exc}; write the command on one line") from exc
        yield from (command(words, told_in=str(block)) for words in found)


def simple_commands(line: str) -> Iterator[list[str]]:
    """The words of each command of a line; pipes, `&&` and redirections end one."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    for word in lexer:
        if set(word) <= set("|&;<>()"):
            # The `2` of `2>file` is no word of the command.
            yield words[:-1] if ">" in word and words[-1:] == ["2"] else words
            # What follows a redirection is a file and no command.
            words = ["cat"] if set(word) <= set("<>") else []
        else:
            words.append(word)
    yield words


def command(words: list[str], *, told_in: str) -> Command:
    variables = {}
    rest = words[1:] if words[:1] == ["export"] else words
    while rest and (match := VARIABLE.fullmatch(rest[0])):
        variables[match[1]] = match[2]
        rest = rest[1:]
    return Command(words=tuple(rest), variables=variables, told_in=told_in)


BLOCKS = [block for page in PAGES for block in blocks(page)]
COMMANDS = [
    found
    for block in BLOCKS
    if block.language in SHELLS
    for found in commands(block)
    if found.words or found.variables
]
# `kubectl exec POD -- mlo …` runs ours there.
THERE = [
    replace(found, words=found.words[found.words.index("--") + 1 :])
    for found in COMMANDS
    if found.words[:1] == ("kubectl",) and "--" in found.words
]
MLO = [found for found in [*COMMANDS, *THERE] if found.words[:1] and found.words[0] in OURS]
YAML_BLOCKS = [block for block in BLOCKS if block.language in {"yaml", "yml"}]
SQL = [
    *((str(block), block.text) for block in BLOCKS if block.language == "sql"),
    *((str(found), found.words[-1]) for found in MLO if found.words[1:2] == ("sql",)),
]


def typed(words: tuple[str, ...]) -> str:
    """The command that the words lead to, `mlo` itself for its own options; nothing is run.

    Typer refuses commands and options that do not exist.
    """
    tool: Any = typer.main.get_command(app)
    name: str | None = words[0]
    rest = list(words[1:])
    context = None
    while True:
        try:
            context = tool.make_context(name, rest, parent=context)
        except typer.Exit:  # --version and --help end the parsing
            return str(name)
        if not isinstance(tool, TyperGroup):
            return str(name)
        name, tool, rest = tool.resolve_command(context, [*context._protected_args, *context.args])


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_every_block_is_of_a_kind_that_is_checked_or_prose(block: Block) -> None:
    assert block.language in {*SHELLS, *PROSE, *RUN_ELSEWHERE, "yaml", "yml", "sql"}


@pytest.mark.parametrize("found", MLO, ids=str)
def test_a_command_of_mlo_exists_with_its_options(found: Command) -> None:
    assert typed(found.words) in found.words


def test_a_command_or_an_option_that_does_not_exist_is_found() -> None:
    with pytest.raises(USAGE_ERROR, match="publish"):
        typed(("mlo", "publish"))
    with pytest.raises(USAGE_ERROR, match="--now"):
        typed(("mlo", "recommend", "--now"))


def flow_names() -> set[str]:
    """The names of the flows, read from the text: importing them would import Prefect."""
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "flows").glob("*.py")]
    return {name for text in texts for name in FLOW.findall(text)}


@pytest.mark.parametrize(
    "found", [found for found in COMMANDS if found.words and found not in MLO], ids=str
)
def test_any_other_command_is_a_target_of_make_a_deployment_or_a_common_program(
    found: Command,
) -> None:
    match found.words:
        case ("make", *targets):
            makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
            known = re.findall(r"^([a-z]+):", makefile, flags=re.MULTILINE)
            assert {word for word in targets if "=" not in word} <= set(known)
        case ("prefect" | ".venv/bin/prefect", "deployment", "run", deployment, *_):
            written = YAML(typ="safe").load(PREFECT_YAML)["deployments"]
            known = {f"{each['entrypoint'].split('.')[1]}/{each['name']}" for each in written}
            assert deployment in known | {f"{name}/{name}" for name in flow_names()}
        case ("prefect", *words) if "--all" in words:
            file = str(PREFECT_YAML.relative_to(ROOT))
            assert words == ["--no-prompt", "deploy", "--all", "--prefect-file", file]
        case ("prefect", "worker", "start", "--pool", pool):
            assert (POOLS / f"{pool}.json").is_file()
        case ("prefect", "work-pool", "create", pool, "--type", kind, "--base-job-template", file):
            assert (pool, ROOT / file) == (kind, POOLS / f"{pool}.json")
            assert (ROOT / file).is_file()
        case (program, *_):
            assert program in OTHER_PROGRAMS or (ROOT / program).is_file()


@pytest.mark.parametrize(
    "found", [found for found in COMMANDS if set(found.variables) - {"PYTHON"}], ids=str
)
def test_a_variable_that_is_set_is_a_setting_with_an_effect(found: Command, tmp_path: Path) -> None:
    content = tmp_path / "content"
    content.write_text("for-a-test", encoding="utf-8")
    environ = {
        name: str(content) if name.endswith("_FILE") else value
        for name, value in found.variables.items()
    }

    assert set_without_effect(load_settings(None, environ=environ)) == []
    assert all(
        name.startswith(("MLO_", "PREFECT_", "MODE", "MIMIR_", "UPDATE_", "BUFFER_"))
        for name in found.variables
    )


@pytest.mark.parametrize("found", [found for found in COMMANDS if "--set" in found.words], ids=str)
def test_a_value_that_helm_sets_is_one_of_the_chart(found: Command) -> None:
    pairs = [after for word, after in pairwise(found.words) if word == "--set"]
    keys = [pair.partition("=")[0].removeprefix("controller.").split(".") for pair in pairs]

    assert [key for key in keys if key[0] not in CHART_VALUES and not located(Settings, key)] == []


@pytest.mark.parametrize(("told_in", "statement"), SQL, ids=[told_in for told_in, _ in SQL])
def test_sql_runs_and_only_reads(told_in: str, statement: str) -> None:  # noqa: ARG001 - the id
    with Database.open(":memory:", clock=lambda: datetime.now(UTC)) as database:
        check_statements(statement)

        assert database.cursor().execute(statement).description


@pytest.mark.parametrize("block", YAML_BLOCKS, ids=str)
def test_yaml_that_is_settings_can_be_used_and_has_an_effect(block: Block) -> None:
    tree = YAML(typ="safe", pure=True).load(block.text)

    assert isinstance(tree, dict)
    if tree.get("kind") == "ConfigMap":
        read_config_map(tree["data"])
    elif "overrides" in tree:
        assert parse(block.text.encode()).schema == LIMITS
    elif {fold(key) for key in tree} & set(spellings(Settings)):
        assert set_without_effect(parse_settings(tree)) == []


def read_config_map(data: dict[str, str]) -> None:
    """As a mounted folder: `config.yaml`, files named by dotted keys, or our own document."""
    for name, text in data.items():
        if name == "config.yaml":
            tree = YAML(typ="safe", pure=True).load(text)
            assert set_without_effect(parse_settings(tree)) == []
        elif name == "overrides.yaml":
            assert parse(text.encode()).schema == LIMITS
        else:
            assert located(Settings, name.split("."))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = re.findall(rf"`((?:{ROOMS})/[\w./-]*)(?:::\w+)?`", text)
    without_code = re.sub(r"`[^`\n]*`", "", text)
    linked = re.findall(r"\]\((?!https?://|#)([^)#\s]+)", without_code)

    missing = [name for name in named if not (ROOT / name).exists()]
    missing += [name for name in linked if not (page.parent / name).exists()]

    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_test_that_a_page_names_exists(page: Path) -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", page.read_text(encoding="utf-8"))

    missing = [
        test
        for file, test in named
        if f"def {test}(" not in (ROOT / file).read_text(encoding="utf-8")
    ]

    assert missing == []

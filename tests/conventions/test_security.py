"""What must never stand in the code, whoever writes it and for whatever reason."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from tests.conventions.tree import ROOT, parsed, python_files

# Formats that run code when they are read.
UNSAFE_MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "marshal", "shelve"}
UNSAFE_CALLS = {
    "eval": "runs text as code",
    "exec": "runs text as code",
    "mark_safe": "puts text into a page unescaped",
    "yaml.load": "makes any object; yaml.safe_load does not",
    "yaml.unsafe_load": "makes any object",
    "yaml.full_load": "makes any object",
    "torch.load": "unpickles; safetensors does not",
    "os.system": "goes through a shell",
    "os.popen": "goes through a shell",
    "tempfile.mktemp": "others can take the name first",
    "ssl._create_unverified_context": "believes every server",
}
UNSAFE_ARGUMENTS = {
    "trust_remote_code": (True, "runs code that comes with a model"),
    "shell": (True, "goes through a shell"),
    "verify": (False, "believes every server"),
    "ssl": (False, "believes every server"),
    "weights_only": (False, "unpickles"),
}


def faults(tree: ast.AST) -> Iterator[str]:
    """``line: what`` for everything in ``tree`` that must not be there."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = {(node.module or "").partition(".")[0]}
        else:
            names = set()
        for name in names & UNSAFE_MODULES:
            yield f"{node.lineno}: {name} runs code when it reads"
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        if why := UNSAFE_CALLS.get(called):
            yield f"{node.lineno}: {called} {why}"
        for keyword in node.keywords:
            value, why = UNSAFE_ARGUMENTS.get(keyword.arg or "", (None, ""))
            given = keyword.value.value if isinstance(keyword.value, ast.Constant) else ...
            if why and given is value:
                yield f"{node.lineno}: {keyword.arg}={given} {why}"


# The one place that makes HTML of Markdown, which is ours and cleaned by nh3 all the same.
MEANT = re.compile(r"portal/ui/prose\.py:\d+: mark_safe")


def test_the_code_holds_nothing_unsafe() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{fault}"
        for path in python_files()
        for fault in faults(parsed(path))
    ]
    assert [fault for fault in found if not MEANT.match(fault)] == []


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from shelve import open",
        "eval(text)",
        "yaml.load(text)",
        "torch.load(path)",
        "subprocess.run(line, shell=True)",
        "AutoModel.from_pretrained(name, trust_remote_code=True)",
        "session.get(url, ssl=False)",
        "mark_safe(answer)",
    ],
)
def test_the_search_finds_what_is_unsafe(line: str) -> None:
    assert len(list(faults(ast.parse(line)))) == 1


@pytest.mark.parametrize(
    "line", ["yaml.safe_load(text)", "model.eval()", "run(x, trust_remote_code=False)"]
)
def test_the_search_leaves_what_is_safe(line: str) -> None:
    assert list(faults(ast.parse(line))) == []


def test_workers_accept_json_alone() -> None:
    from workers.celery import app

    assert app.conf.accept_content == ["json"]
    assert app.conf.task_serializer == app.conf.result_serializer == "json"
    assert app.conf.result_accept_content in (None, ["json"])


def test_connections_go_out_through_one_door() -> None:
    """Only ``portal.outbound`` opens a client session; the rest asks it for one."""
    clients = {"ClientSession", "urlopen", "HTTPConnection", "HTTPSConnection", "create_connection"}
    own_machine = {"workers/processes.py", "evals/demo/servers.py"}  # is my own process up?
    found = {
        path.relative_to(ROOT).as_posix()
        for path in python_files()
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in clients
    }
    assert found - own_machine == {"portal/outbound.py"}

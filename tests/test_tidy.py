"""The rules that no other tool checks: who makes a MaskedFrame, sizes, red code's forbidden forms, the RFC map."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "dtmf_shield"
SOURCES = sorted(PACKAGE.rglob("*.py"))
RED = [path for path in SOURCES if path.relative_to(PACKAGE).parts[0] in {"cde", "media", "account_data"}]
FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 700
FILE_BYTES_MAX = 1_000_000


def name_of(path):
    return str(path.relative_to(ROOT))


def tracked_files():
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    return [ROOT / name for name in listing.decode().split("\0") if name and (ROOT / name).is_file()]


def test_only_the_masker_makes_a_masked_frame():
    makers = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                called = getattr(node.func, "id", getattr(node.func, "attr", ""))
                if called == "MaskedFrame":
                    makers.add(name_of(path))

    assert makers == {"dtmf_shield/media/masker.py"}


def code_lines(node, lines):
    """Lines of a function that are neither blank, comment nor docstring."""
    body = node.body
    first = body[0]
    docstring = isinstance(first, ast.Expr) and isinstance(getattr(first, "value", None), ast.Constant)
    skipped = set(range(first.lineno, first.end_lineno + 1)) if docstring else set()
    inner = range(node.lineno, node.end_lineno + 1)
    texts = (lines[n - 1].strip() for n in inner if n not in skipped)
    return sum(1 for text in texts if text and not text.startswith("#"))


def test_functions_fit_a_screen_and_files_a_sitting():
    long = []
    tests = [path for path in sorted((ROOT / "tests").rglob("*.py")) if ".cache" not in path.parts]
    for path in [*SOURCES, *sorted((ROOT / "bench").rglob("*.py")), *tests]:
        text = path.read_text()
        lines = text.splitlines()
        if len(lines) > FILE_LINES_MAX:
            long.append(f"{name_of(path)}: {len(lines)} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                count = code_lines(node, lines)
                if count > FUNCTION_LINES_MAX:
                    long.append(f"{name_of(path)}:{node.lineno} {node.name}: {count} lines")

    assert long == []


def test_no_file_is_over_a_megabyte():
    assert [name_of(path) for path in tracked_files() if path.stat().st_size > FILE_BYTES_MAX] == []


def test_no_two_test_files_share_a_name():
    """They have no packages: one run could not collect both."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py") if ".cache" not in path.parts]

    assert [name for name in sorted(set(names)) if names.count(name) > 1] == []


def test_no_private_key_is_in_the_repository():
    marker = "PRIVATE " + "KEY-----"
    kinds = {"", ".pem", ".key", ".py", ".md", ".toml", ".yaml"}
    text_files = [path for path in tracked_files() if path.suffix in kinds]

    assert [name_of(path) for path in text_files if marker in path.read_text("utf-8", errors="replace")] == []


FORBIDDEN_IN_DIGIT_CODE = {"tobytes", "tolist", "b64encode", "decode", "hex"}
DIGIT_CODE = [
    "cde/velocity.py",
    "cde/capture.py",
    "cde/card.py",
    "cde/info_dtmf.py",
    "cde/doors.py",
    "account_data/slots.py",
]


@pytest.mark.parametrize("name", DIGIT_CODE)
def test_code_that_touches_digits_uses_no_form_that_copies_them(name):
    tree = ast.parse((PACKAGE / name).read_text())
    called = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    imported = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }

    assert called & FORBIDDEN_IN_DIGIT_CODE == set()
    assert imported & {"re", "base64", "logging", "structlog", "get_logger", "pickle", "copy"} == set()


def test_no_assert_in_product_code():
    found = [
        f"{name_of(path)}:{node.lineno}"
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Assert)
    ]

    assert found == []


RED_PACKAGES = ("dtmf_shield.cde", "dtmf_shield.media", "dtmf_shield.account_data")


@pytest.mark.parametrize(
    ("entry", "forbidden"),
    [
        ("dtmf_shield.service.control.__main__", RED_PACKAGES),
        # The supervisor creates the locked regions; it holds no audio and loads no kernel.
        ("dtmf_shield.cli.main", ("dtmf_shield.cde", "dtmf_shield.media", "numba", "numpy")),
    ],
)
def test_a_process_loads_nothing_that_is_not_its_own(entry, forbidden):
    program = f"import sys, {entry}; print(*[m for m in sys.modules if m.startswith({forbidden!r})])"

    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert result.stdout.split() == []


def rfc_map_rows():
    text = (ROOT / "docs" / "rfc-map.md").read_text()
    return re.findall(r"`(tests/[\w/]+\.py)::(\w+)", text)


def test_the_rfc_map_names_tests_that_exist():
    rows = rfc_map_rows()
    missing = [
        f"{file}::{test}"
        for file, test in rows
        if not (ROOT / file).is_file() or f"def {test}(" not in (ROOT / file).read_text()
    ]

    assert len(rows) >= 30
    assert missing == []


def test_documents_link_to_files_that_exist():
    broken = []
    for path in [*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md"))]:
        targets = re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", path.read_text())
        broken += [f"{name_of(path)}: {target}" for target in targets if not (path.parent / target).exists()]

    assert broken == []

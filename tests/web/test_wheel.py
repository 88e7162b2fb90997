"""The wheel holds every file of the pages, and a program that has the wheel alone serves each of them."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STATIC = ROOT / "dtmf_shield" / "api" / "static"
SERVED = (
    "import json, dtmf_shield; from dtmf_shield.api.pages import page_files; "
    "print(dtmf_shield.__file__); print(json.dumps(sorted(page_files())))"
)


def static_files():
    return {path.relative_to(STATIC).as_posix() for path in STATIC.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """The wheel, built from what is under version control, in a folder of its own."""
    work = tmp_path_factory.mktemp("wheel")
    source, target = work / "source", work / "unpacked"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "dtmf_shield", "ivr_flows",
         "pyproject.toml", "README.md", "LICENSE"],
        cwd=ROOT, capture_output=True, check=True,
    ).stdout.decode().split("\0")  # fmt: skip
    for name in filter(None, listed):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run(
        [*command, "--wheel-dir", str(work), str(source)], check=True, capture_output=True, timeout=120
    )
    [wheel] = work.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    return target


def test_wheel_holds_every_file_of_the_pages(unpacked):
    inside = unpacked / "dtmf_shield" / "api" / "static"

    assert {
        path.relative_to(inside).as_posix() for path in inside.rglob("*") if path.is_file()
    } == static_files()


def test_program_with_the_wheel_alone_serves_each(unpacked, tmp_path):
    environment = {"PYTHONPATH": str(unpacked), "PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"}

    said = subprocess.run(
        [sys.executable, "-c", SERVED],
        cwd=tmp_path,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()

    assert said[0].startswith(str(unpacked))
    assert all(f'"{name}"' in said[1] for name in static_files())

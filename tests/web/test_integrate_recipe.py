"""docs/integrate.md as a newcomer follows it: its own blocks, against the whole service, a call and a browser.

Every configuration, command and program here is read out of the document, so that a line of it that does not work
fails. Where this run has a network of its own, the document's ports are used as they stand; else free ones are.
"""

from __future__ import annotations

import json
import os
import queue
import re
import shlex
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from tests.interop.running_service import wait_until
from tests.web.browser import Visitor
from tests.web.digit_search import places_with_digits

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "integrate.md"
WEBHOOKS = ROOT / "docs" / "reference" / "webhooks.md"
SAMPLE = ROOT / "docs" / "integrate" / "sample-crm"
PANEL, SERVER = "## Five minutes to a first panel", "## From your server"
CARD = "4242424242424242"
"""What the play page has in its hand at first."""
STEP_MS = 25_000
START_S = 90.0
LIMIT_S = 30.0
HEAR = """
window.heard = [];
window.addEventListener('message', (event) => window.heard.push([event.origin, event.data]));
"""


def blocks(document, heading, language):
    """Return the blocks of code of one language below a heading, those within a list as well."""
    section = document.read_text("utf-8").partition(f"{heading}\n")[2].partition("\n## ")[0]
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```$", section, re.DOTALL | re.MULTILINE)
    return [textwrap.dedent(code) for _, code in found]


def free_port(kind):
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Newcomer:
    """A directory with what the document said to write, and the programs that it said to start."""

    def __init__(self, directory, own_network):
        self.directory = directory
        self.ports = {}
        self.api = self.more = ""
        if not own_network:
            ports = {"8080": socket.SOCK_STREAM, "9000": socket.SOCK_STREAM, "9001": socket.SOCK_STREAM}
            self.ports = {written: str(free_port(kind)) for written, kind in ports.items()}
            sip, agent = free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_DGRAM)
            self.api = 'listen = "127.0.0.1:8080"\n'
            self.more = (
                f'[sip]\nlisten = ["127.0.0.1:{sip}"]\n'
                f'[[agents]]\nname = "agent"\naddress = "127.0.0.1:{agent}"\n'
                '[[routes]]\ndialled = "*"\nagent = "agent"\n'
            )
        self.running = []

    def filled(self, text):
        """Return a text of the document with the ports of this run."""
        for written, ours in self.ports.items():
            text = re.sub(rf"(?<!\d){written}(?!\d)", ours, text)
        return text

    def write(self, name, text):
        (self.directory / name).parent.mkdir(parents=True, exist_ok=True)
        (self.directory / name).write_text(self.filled(text), "utf-8")

    def sample(self):
        """Have the sample where the document's command looks for it."""
        for file in SAMPLE.iterdir():
            self.write(f"docs/integrate/sample-crm/{file.name}", file.read_text("utf-8"))

    def start(self, command, more=()):
        """Start a command of the document; return a queue of the lines that it prints."""
        words = shlex.split(self.filled(command))
        words = [sys.executable, "-m", *words] if words[0] == "dtmf_shield" else words
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
        environment |= {"PYTHONPATH": f"{ROOT}{os.pathsep}{self.directory}", "PYTHONUNBUFFERED": "1"}
        process = subprocess.Popen(
            [*words, *more],
            cwd=self.directory,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        lines = queue.Queue()

        def read():
            for line in process.stdout:
                lines.put(line)

        threading.Thread(target=read, daemon=True).start()
        self.running.append(process)
        return process, lines

    def stop(self):
        for process in reversed(self.running):
            process.stdin.close()  # a bash whose command did not die of the signal reads on
            process.send_signal(signal.SIGINT if process.poll() is None else 0)
        for process in self.running:
            try:
                process.wait(LIMIT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def until(lines, wanted, limit_s=LIMIT_S):
    """Read lines until one has ``wanted`` in it; return them all."""
    said = []

    def look():
        while not lines.empty():
            said.append(lines.get())
            if wanted in said[-1]:
                return True
        return False

    try:
        wait_until(look, wanted, limit_s)
    except pytest.fail.Exception:
        pytest.fail(f"no {wanted!r} in what was printed:\n{''.join(said[-20:])}")
    return said


class Terminal:
    """One bash that is typed into, as the document's steps go on in one terminal."""

    def __init__(self, newcomer):
        self.filled = newcomer.filled
        self.process, self.lines = newcomer.start("bash -eu")

    def type(self, block):
        """Type a block and return what it printed. A command of it that fails ends the terminal, and the test."""
        self.process.stdin.write(self.filled(block) + "\necho; echo done-with-it\n")
        self.process.stdin.flush()
        return "".join(until(self.lines, "done-with-it")[:-1]).strip()


@pytest.fixture(scope="module")
def newcomer(own_network, tmp_path_factory):
    """Somebody who has done all of the document that comes before a call."""
    newcomer = Newcomer(tmp_path_factory.mktemp("newcomer"), own_network)
    configuration, told = blocks(DOCUMENT, PANEL, "toml") + blocks(DOCUMENT, SERVER, "toml")
    assert {block.splitlines()[0] for block in (configuration, told)} == {"# crm.toml"}
    newcomer.write("crm.toml", configuration + newcomer.api + told + newcomer.more)
    secret, *_ = blocks(DOCUMENT, SERVER, "sh")
    subprocess.run(["bash", "-euc", secret], cwd=newcomer.directory, check=True)
    [verifier] = blocks(WEBHOOKS, "## What a receiver does", "python")
    [receiver] = blocks(DOCUMENT, SERVER, "python")
    newcomer.write("verified.py", verifier)
    newcomer.write("receiver.py", receiver)
    newcomer.sample()
    serve, sample = blocks(DOCUMENT, PANEL, "sh")
    try:
        _, newcomer.told = newcomer.start("python3 receiver.py")
        newcomer.start(sample)
        command = serve.replace("dtmf-shield", "dtmf_shield", 1)
        newcomer.process, lines = newcomer.start(command, ("--json", "--log-file", "service.log"))
        newcomer.ready = json.loads(until(lines, '"event": "ready"', START_S)[-1])
        yield newcomer
    finally:
        newcomer.stop()
    assert newcomer.process.returncode == 0


@pytest.fixture(scope="module")
def visitor(newcomer, browser):
    """Their browser, where the printed link was opened: the play page."""
    visitor = Visitor(browser)
    visitor.context.add_init_script(HEAR)
    visitor.page.goto(newcomer.ready["login_url"])
    assert urlsplit(visitor.page.url).path == "/ui/play/"
    yield visitor
    visitor.close()


@pytest.fixture
def call(visitor):
    """A call placed on the play page, and hung up there."""
    visitor.page.locator("#call").click()
    expect(visitor.page.locator("#phase.good")).to_be_visible(timeout=STEP_MS)
    yield
    visitor.page.locator("#hangup").click()
    expect(visitor.page.locator("#call")).to_be_visible()


def key_the_card(page):
    for part in ("number", "expiry", "code"):
        expect(page.locator(f"#parts [data-part={part}].primary")).to_be_visible(timeout=STEP_MS)
        page.locator(f"#parts [data-part={part}]").click()


def test_the_sample_takes_a_payment_from_the_panel_and_is_told_the_result_without_a_digit(
    newcomer, visitor, call
):
    crm = visitor.context.new_page()
    crm.goto(newcomer.filled("http://127.0.0.1:9000/"))
    panel = crm.frame_locator("iframe")
    expect(panel.locator("#badge")).to_have_attribute("data-state", "on", timeout=STEP_MS)
    expect(crm.locator("#take:not([aria-disabled='true'])")).to_be_visible(timeout=STEP_MS)

    crm.locator("#take").click()
    key_the_card(visitor.page)
    expect(panel.locator("#pay:not([aria-disabled='true'])")).to_be_visible(timeout=STEP_MS)
    panel.locator("#pay").click()
    expect(crm.locator("#paid")).to_contain_text("Paid. Card ending 4242", timeout=STEP_MS)

    heard = crm.evaluate("heard")
    result = [data for _, data in heard if data["type"] == "dtmf-shield.result"][-1]
    assert {origin for origin, _ in heard} == {newcomer.filled("http://127.0.0.1:8080")}
    assert (result["state"], result["brand"], result["last4"]) == ("approved", "visa", "4242")
    assert result["token_reference"] in crm.locator("#paid").inner_text()
    counts = [data["count"] for _, data in heard if data["type"] == "dtmf-shield.field"]
    assert max(count or 0 for count in counts) == len(CARD)
    drawn = {
        data[name] for _, data in heard for name in ("call", "capture", "token_reference") if data.get(name)
    }
    said = {"messages": json.dumps([data for _, data in heard]), "page": crm.content()}
    assert places_with_digits(CARD, said, drawn) == []
    assert places_with_digits(CARD, {"control": said["messages"] + CARD}) == ["control"]
    crm.close()


def test_a_server_takes_a_payment_by_the_api_and_is_told_by_a_signed_webhook(newcomer, visitor, call):
    _, capture, events, pay, look = blocks(DOCUMENT, SERVER, "sh")
    until_quiet(newcomer.told)
    terminal, other = Terminal(newcomer), Terminal(newcomer)
    named = re.fullmatch(r"call (\S+), capture (\S+)", terminal.type(capture))
    assert named, "the document's answer is not what it says"
    other.process.stdin.write(newcomer.filled(events) + "\n")
    other.process.stdin.flush()
    until(other.lines, "event: resync")

    key_the_card(visitor.page)
    streamed = until(other.lines, '"can_pay":true')
    assert json.loads(terminal.type(pay))["id"] == named[2]
    told = until(newcomer.told, "payment approved")
    outcome = json.loads(terminal.type(look))["outcome"]

    assert (outcome["result"], outcome["last4"], outcome["test"]) == ("approved", "4242", True)
    assert outcome["operation_id"]
    assert any(line.startswith("capture ") for line in told)
    known = {"events": "".join(streamed), "webhooks": "".join(told), "answer": json.dumps(outcome)}
    assert f"{named[2]}" in known["events"]
    drawn = {named[1], named[2], outcome["operation_id"], outcome["token_reference"]}
    drawn |= set(re.findall(r"^id: (\S+)", known["events"], re.MULTILINE))
    assert places_with_digits(CARD, known, drawn) == []


def until_quiet(lines):
    """Forget what was told so far."""
    while not lines.empty():
        lines.get()


FORGED = {
    "a signature of another alphabet": "DTMF-Shield-Signature: t={now},v1=\u00e9\r\nContent-Length: 2",
    "a time without end": f"DTMF-Shield-Signature: t={'1' * 5_000},v1=0\r\nContent-Length: 2",
    "no length": "DTMF-Shield-Signature: t=1,v1=0",
    "a length below nought": "Content-Length: -1",
    "a length without end": f"Content-Length: {'1' * 5_000}",
    "a length of another alphabet": "Content-Length: \u00b2",
}


@pytest.mark.parametrize("headers", FORGED.values(), ids=FORGED)
def test_the_receiver_of_the_document_answers_what_is_forged(newcomer, headers):
    """Each of these was, or would be, an exception in it and no answer."""
    port = int(newcomer.filled("9001"))
    with socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S) as connection:
        headers = headers.format(now=int(time.time()))
        connection.sendall(f"POST /dtmf-shield HTTP/1.0\r\n{headers}\r\n\r\n{{}}".encode("latin-1"))
        answer = connection.makefile("rb").readline()

    assert answer.split()[1:2] == [b"401"]


def test_the_receiver_of_the_document_refuses_what_is_not_signed(newcomer):
    answer = subprocess.run(
        [
            *(
                "curl",
                "-sS",
                "-o",
                "/dev/null",
                "-w",
                "%{http_code}",
                "-d",
                '{"type": "payment", "data": {}}',
            ),
            newcomer.filled("http://127.0.0.1:9001/dtmf-shield"),
        ],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=True,
    )

    assert answer.stdout == "401"

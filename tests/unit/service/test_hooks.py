"""Look-ups over HTTP against a server of the standard library: good answers, and every way in which one is none."""

import asyncio
import json
import secrets

import pytest
from structlog.testing import capture_logs

from dtmf_shield.base.config import Config, HookSection
from dtmf_shield.base.system_clock import SystemClock
from dtmf_shield.flow.engine.commands import CallHook
from dtmf_shield.flow.engine.events import HookAnswered, HookOutcome
from dtmf_shield.flow.engine.interpreter import HOOK_TEXT_MAX, HOOK_VALUES_MAX
from dtmf_shield.model.ids import CallId
from dtmf_shield.service.certificates import SERVER_AUTH, host_name, issue_leaf, make_authority
from dtmf_shield.service.control import hooks as hooks_module
from dtmf_shield.service.control.hook_settings import hooks_of
from dtmf_shield.service.control.hooks import ControlHooks
from dtmf_shield.service.control.json_post import ANSWER_BYTES_MAX, HEADER_BYTES_MAX
from dtmf_shield.service.dev_certificates import ensure_dev_certificates
from tests.unit.service.hook_server import Script, serving

CALL = CallId("call")
ASK = (("account", "12345674"),)
ERROR = HookAnswered(HookOutcome.ERROR)


def hooks_at(url, **more):
    return hooks_of(Config(hooks=[HookSection(name="lookup", url=url, **more)]))


async def _ask(hooks, *requests):
    """Ask all at once; returns answers by mark, as they came."""
    answers, done = {}, asyncio.Event()

    def answered(call_id, mark, answer):
        assert call_id == CALL and mark not in answers
        answers[mark] = answer
        if len(answers) == len(requests):
            done.set()

    control = ControlHooks(hooks, SystemClock(), answered)
    for mark, request in enumerate(requests):
        control.ask(CALL, mark, request)
    assert answers == {}, "nobody is answered within ask"
    async with asyncio.timeout(10):
        await done.wait()
    assert control._running == set() or await control.close() is None
    return answers


def look_up(script, send=ASK, timeout_ms=3_000, hook="lookup", **more):
    """Ask a server that answers ``script``; returns (answer, the log line)."""
    with serving(script) as port, capture_logs() as lines:
        hooks = hooks_at(f"http://127.0.0.1:{port}/v1/find", **more)
        answers = asyncio.run(_ask(hooks, CallHook(hook, send, timeout_ms)))
    (line,) = [line for line in lines if line["event"] == "hook_asked"]
    return answers[0], line


def test_what_the_flow_sends_is_posted_as_one_flat_object_and_the_answer_is_texts():
    script = Script(b'{"balance": 42.50, "name": "Ann", "open": true, "count": 7, "late": false}')

    answer, line = look_up(script)

    assert answer.outcome is HookOutcome.OK
    assert dict(answer.values) == {
        "balance": "42.50", "name": "Ann", "open": "true", "count": "7", "late": "false",
    }  # fmt: skip
    assert script.asked == [{"account": "12345674"}]
    assert script.paths == ["/v1/find"]
    assert script.heads[0]["Content-Type"] == "application/json"
    assert "Authorization" not in script.heads[0]
    assert (line["hook"], line["outcome"], line["reason"], line["call_id"]) == ("lookup", "ok", "", CALL)
    assert 0 <= line["ms"] < 3_000


def test_an_empty_object_is_an_answer_without_values():
    assert look_up(Script(b"{}"))[0] == HookAnswered(HookOutcome.OK)


def test_404_is_not_found_whatever_its_body():
    answer, line = look_up(Script(b"<html>", status=404, content_type="text/html"))

    assert answer == HookAnswered(HookOutcome.NOT_FOUND)
    assert line["outcome"] == "not_found"


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (Script(b"not json"), "not_json"),
        (Script(b"\xff\xfe\x00"), "not_json"),
        (Script(b""), "not_json"),
        (Script(b"[" * 9_000), "not_json"),
        (Script(b'["a"]'), "not_an_object"),
        (Script(b'"text"'), "not_an_object"),
        (Script({"a": {"b": 1}}), "not_flat"),
        (Script({"a": ["b"]}), "not_flat"),
        (Script({"a": None}), "not_flat"),
        (Script(b'{"a": NaN}'), "not_flat"),
        (Script(b'{"a": 1, "a": 2}'), "name_twice"),
        (Script({"Balance": "1"}), "unfit_name"),
        (Script({"a" * 33: "1"}), "unfit_name"),
        (Script({"a": "x" * (HOOK_TEXT_MAX + 1)}), "value_too_long"),
        (Script({f"n{place}": place for place in range(HOOK_VALUES_MAX + 1)}), "too_many_values"),
        (Script({"a": "x" * ANSWER_BYTES_MAX}), "too_long"),
        (Script({}, content_type="text/html"), "not_json"),
        (Script({}, status=500), "status_500"),
        (Script({}, status=204), "status_204"),
        (Script({}, headers=[("X-Long", "x" * 2 * HEADER_BYTES_MAX)]), "no_http"),
    ],
)  # fmt: skip
def test_anything_but_a_flat_object_of_short_values_is_an_error(script, reason):
    answer, line = look_up(script)

    assert answer == ERROR
    assert line["reason"] == reason


def test_limits_are_taken_to_the_last_one():
    values = {f"n{place}": "x" * HOOK_TEXT_MAX for place in range(HOOK_VALUES_MAX)}

    answer, _ = look_up(Script(values))

    assert dict(answer.values) == values


def _some_digits(count):
    return "".join(secrets.choice("123456789") for _ in range(count))


@pytest.mark.parametrize("shape", ["{0}", "{0} ", "x{0}x"])
def test_an_answer_with_twelve_digits_in_a_row_is_refused_and_told_nowhere(shape):
    digits = _some_digits(12)
    answer, line = look_up(Script({"a": shape.format(digits)}))

    assert answer == ERROR
    assert line["reason"] == "may_be_card"
    assert digits not in json.dumps(line)


@pytest.mark.parametrize("separator", [" ", "-", "."])
def test_separators_do_not_hide_a_run_of_digits(separator):
    digits = separator.join(_some_digits(4) for _ in range(3))

    assert look_up(Script({"a": digits}))[1]["reason"] == "may_be_card"


def test_a_number_of_twelve_digits_is_refused_and_one_of_eleven_is_taken():
    assert look_up(Script(f'{{"a": {_some_digits(12)}}}'.encode()))[1]["reason"] == "may_be_card"

    digits = _some_digits(11)
    assert dict(look_up(Script(f'{{"a": {digits}}}'.encode()))[0].values) == {"a": digits}


def test_what_may_be_a_card_number_is_not_sent_and_a_telephone_number_is():
    script = Script(b"{}")
    test_card = "4242 4242 4242 4242"

    answer, line = look_up(script, send=(("account", test_card),))
    assert (answer, line["reason"], script.asked) == (ERROR, "may_be_card", [])

    answer, _ = look_up(script, send=(("caller", "+441632960012"),))
    assert answer.outcome is HookOutcome.OK
    assert script.asked == [{"caller": "+441632960012"}]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status):
    elsewhere = Script({"a": "1"})
    with serving(elsewhere) as port:
        there = [("Location", f"http://127.0.0.1:{port}/")]
        answer, line = look_up(Script({}, status=status, headers=there))

    assert answer == ERROR
    assert line["reason"] == f"status_{status}"
    assert elsewhere.asked == []


def test_a_proxy_of_the_environment_is_not_used(monkeypatch):
    proxy = Script({"a": "of the proxy"})
    with serving(proxy) as port:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
        answer, _ = look_up(Script({"a": "of the hook"}))

    assert dict(answer.values) == {"a": "of the hook"}
    assert proxy.asked == []


@pytest.mark.parametrize(("flow_ms", "hook_s"), [(150, 30.0), (9_000, 0.15)])
def test_the_shorter_of_both_times_bounds_a_slow_hook(flow_ms, hook_s):
    answer, line = look_up(Script({}, delay_s=5.0), timeout_ms=flow_ms, timeout_s=hook_s)

    assert answer == ERROR
    assert line["reason"] == "no_answer_in_time"
    assert 100 <= line["ms"] < 2_000


def test_an_answer_that_is_cut_short_is_an_error():
    script = Script()
    script.raw = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    answer, line = look_up(script)

    assert (answer, line["reason"]) == (ERROR, "no_http")


@pytest.mark.parametrize("raw", [b"\x00\x01\x02 garbage\r\n\r\n", b"HTTP/1.1 200", b"SSH-2.0-x\r\n"])
def test_what_is_no_http_is_an_error(raw):
    script = Script()
    script.raw = raw

    assert look_up(script)[1]["reason"] == "no_http"


def test_nobody_there_is_an_error():
    with serving(Script()) as port:
        pass
    hooks = hooks_at(f"http://127.0.0.1:{port}/")

    assert asyncio.run(_ask(hooks, CallHook("lookup", ASK, 2_000))) == {0: ERROR}


def test_a_hook_that_is_not_in_the_configuration_is_an_error():
    answer, line = look_up(Script(), hook="another")

    assert (answer, line["reason"]) == (ERROR, "unknown_hook")


def test_one_more_than_the_limit_is_refused_at_once(monkeypatch):
    monkeypatch.setattr(hooks_module, "LOOK_UPS_MAX", 3)
    script = Script({}, delay_s=0.3)
    with serving(script) as port:
        hooks = hooks_at(f"http://127.0.0.1:{port}/")
        answers = asyncio.run(_ask(hooks, *[CallHook("lookup", ASK, 3_000)] * 5))

    outcomes = [answers[mark].outcome.value for mark in sorted(answers)]
    assert sorted(outcomes) == ["error", "error", "ok", "ok", "ok"]
    assert len(script.asked) == 3


def test_closing_gives_up_what_is_on_its_way():
    async def close_early(port):
        answers = []
        control = ControlHooks(
            hooks_at(f"http://127.0.0.1:{port}/"), SystemClock(), lambda *told: answers.append(told)
        )
        control.ask(CALL, 1, CallHook("lookup", ASK, 3_000))
        await asyncio.sleep(0.05)
        await control.close()
        return answers, control._running

    with serving(Script({}, delay_s=2.0)) as port:
        assert asyncio.run(close_early(port)) == ([], set())


@pytest.mark.parametrize(
    ("line", "header", "value"),
    [
        ("abc.DEF-123_~+/==", "Authorization", "Bearer abc.DEF-123_~+/=="),
        ("X-Api-Key: s3cret value", "X-Api-Key", "s3cret value"),
    ],
)
def test_the_credential_is_sent_and_never_shown(tmp_path, line, header, value):
    file = tmp_path / "credential"
    file.write_text(line + "\n")
    file.chmod(0o600)
    script = Script({})

    _, logged = look_up(script, credentials_file=str(file))

    assert script.heads[0][header] == value
    assert line not in json.dumps(logged)
    assert value not in repr(hooks_at("http://127.0.0.1:1/", credentials_file=str(file)))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return ensure_dev_certificates(tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="module")
def strange(tmp_path_factory):
    return ensure_dev_certificates(tmp_path_factory.mktemp("strange"))


class TestTls:
    """https: the hook's own authority, its own name, and nothing else."""

    def _look_up(self, served, url_host, ca_file):
        pair = (served.gateway_certificate_file, served.gateway_key_file)
        script = Script({"a": "1"})
        with serving(script, pair) as port, capture_logs() as lines:
            hooks = hooks_at(f"https://{url_host}:{port}/", ca_file=ca_file and str(ca_file))
            answers = asyncio.run(_ask(hooks, CallHook("lookup", ASK, 3_000)))
        return answers[0], lines[-1]["reason"], script.asked

    def test_the_authority_named_for_the_hook_is_believed(self, files):
        answer, reason, asked = self._look_up(files, "127.0.0.1", files.ca_file)

        assert (dict(answer.values), reason, len(asked)) == ({"a": "1"}, "", 1)

    def test_another_authority_is_not_and_nothing_is_sent(self, files, strange):
        answer, reason, asked = self._look_up(files, "127.0.0.1", strange.ca_file)

        assert (answer, reason, asked) == (ERROR, "SSLCertVerificationError", [])

    def test_without_an_authority_of_its_own_those_of_the_system_count(self, files):
        answer, reason, asked = self._look_up(files, "127.0.0.1", None)

        assert (answer, reason, asked) == (ERROR, "SSLCertVerificationError", [])

    def test_a_certificate_of_another_name_is_refused(self, tmp_path):
        authority = make_authority("authority")
        leaf = issue_leaf(authority, "other", [host_name("other.example")], (SERVER_AUTH,))
        for name, pem in (
            ("ca", authority.certificate_pem()),
            ("leaf", leaf.certificate_pem()),
            ("key", leaf.key_pem()),
        ):
            (tmp_path / name).write_bytes(pem)
        script = Script({})
        with serving(script, (tmp_path / "leaf", tmp_path / "key")) as port, capture_logs() as lines:
            hooks = hooks_at(f"https://127.0.0.1:{port}/", ca_file=str(tmp_path / "ca"))
            answers = asyncio.run(_ask(hooks, CallHook("lookup", ASK, 3_000)))

        assert (answers[0], lines[-1]["reason"], script.asked) == (ERROR, "SSLCertVerificationError", [])

    def test_plain_http_in_place_of_tls_is_an_error(self, files):
        with serving(Script({})) as port, capture_logs() as lines:
            hooks = hooks_at(f"https://127.0.0.1:{port}/", ca_file=str(files.ca_file))
            answers = asyncio.run(_ask(hooks, CallHook("lookup", ASK, 3_000)))

        assert answers[0] == ERROR
        assert lines[-1]["reason"] == "SSLError"

"""The pages' word lists: whole in every language, translated, and with words for whatever the service may say."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from page_node import STATIC, a_field, run

from dtmf_shield.api.views import CallState
from dtmf_shield.cli import payments
from dtmf_shield.model.capture import CaptureResult, CaptureState, FieldKind, Hint, RejectReason
from dtmf_shield.model.payment import DeclineCode
from dtmf_shield.model.stream import ShieldMode

API = Path(__file__).parents[2] / "golden" / "openapi.json"
LANGUAGES = ("en", "de", "fr", "es")
THE_SAME = {
    "de": {
        "admin.name",
        "admin.of",
        "admin.role.agent",
        "page.agent",
        "page.admin",
        "kind.iban",
        "result.test",
        "named",
        "result.stored",
        "signin.code",
        "signin.name",
        "account.kind.page",
        "supervisor.column.agent",
        "supervisor.filter.agent",
        "supervisor.filter.codec",
        "supervisor.field.median",
        "chart.point",
        "engineer.column.thread",
        "line.door.info",
    },
    "fr": {
        "admin.role.agent",
        "page.admin",
        "engineer.simulate",
        "menu",
        "menu.pages",
        "page.agent",
        "kind.iban",
        "result.test",
        "signin.code",
        "supervisor.column.agent",
        "supervisor.filter.agent",
        "supervisor.filter.codec",
        "engineer.column.thread",
        "line.door.info",
    },
    "es": {
        "audit.fact.roles",
        "admin.of",
        "admin.roles",
        "chart.point",
        "kind.iban",
        "line.door.info",
        "result.test",
        "named",
        "result.stored",
        "engineer.column.detector",
        "engineer.no",
    },
}
"""Words that a language writes as English does."""
BREAKABLE = re.compile(r" [:;?!»%]|« |(?<![\s\d])[?!»]|(?<!Authorization)(?<!\s):")
"""Where French wants a space that does not break (U+00A0, U+202F) and the words have a plain one, or none."""
NO_WORDS = {CaptureState.WAITING, CaptureState.KEYING, CaptureState.DONE, CaptureState.FAILED}
"""The fields or the result tell them."""


@cache
def words_of(language: str) -> dict[str, str]:
    listed: list[tuple[str, str]] = json.loads(
        (STATIC / "i18n" / f"{language}.json").read_text("utf-8"), object_pairs_hook=list
    )
    assert len({key for key, _ in listed}) == len(listed), f"{language}: a key stands twice"
    return dict(listed)


def placeholders(text: str) -> list[str]:
    return sorted(set(re.findall(r"\{(\w+)\}", text)))


def sources() -> Iterator[tuple[str, str]]:
    for path in sorted(STATIC.glob("*/*")):
        if path.suffix in {".js", ".html"}:
            yield path.name, path.read_text("utf-8")


@pytest.mark.parametrize("language", LANGUAGES[1:])
def test_each_list_has_the_same_keys_in_the_same_order_and_the_same_placeholders(language: str) -> None:
    english, other = words_of("en"), words_of(language)

    assert list(other) == list(english)
    assert {key: placeholders(text) for key, text in other.items()} == {
        key: placeholders(text) for key, text in english.items()
    }


@pytest.mark.parametrize("language", LANGUAGES[1:])
def test_nothing_is_left_in_english(language: str) -> None:
    english, other = words_of("en"), words_of(language)

    same = {key for key, text in other.items() if text == english[key]}

    assert same == THE_SAME[language]
    assert [key for key, text in other.items() if not text.strip()] == []


def test_french_signs_do_not_begin_a_line() -> None:
    assert BREAKABLE.search("Sûr ?") and BREAKABLE.search("« Sûr\u00a0»") and BREAKABLE.search("Sûr!")

    assert {key: text for key, text in words_of("fr").items() if BREAKABLE.search(text)} == {}


def test_every_key_that_a_page_names_has_words() -> None:
    english = words_of("en")
    named = {
        (file, key)
        for file, text in sources()
        for key in re.findall(r'(?:\bt\(|data-t(?:-label)?=)\s*"([a-z0-9._-]+)"', text)
    }

    assert len(named) > 50
    assert {(file, key) for file, key in named if key not in english} == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_where_no_page_shows_what_was_paid_the_route_and_the_command_are_named(language: str) -> None:
    words = words_of(language)["supervisor.report.end_unknown"]
    routes, commands = re.findall(r"GET (/v1/\w+)", words), re.findall(r"dtmf-shield payments (\w+)", words)

    assert (routes, commands) == (["/v1/payments"], ["list"])
    assert "get" in json.loads(API.read_text("utf-8"))["paths"][routes[0]]
    assert commands[0] in {command.name for command in payments.app.registered_commands}


def test_no_words_are_kept_that_no_page_shows() -> None:
    text = "".join(text for _, text in sources())
    literal = set(re.findall(r'"([a-z0-9_][a-z0-9._-]*)"', text))
    prefixes = tuple(set(re.findall(r"`([a-z_.]+\.)\$\{", text)))
    counted = {
        f"{key}.{kind}" for key in re.findall(r'tCount\("([a-z_.]+)"', text) for kind in ("one", "other")
    }

    unused = [key for key in words_of("en") if key not in literal | counted and not key.startswith(prefixes)]

    assert unused == []


def test_whatever_the_service_may_say_has_words() -> None:
    wanted = {f"kind.{kind}" for kind in FieldKind}
    wanted |= {f"reason.{reason}" for reason in RejectReason}
    wanted |= {f"hint.{hint}" for hint in Hint}
    wanted |= {f"call.{state}" for state in CallState}
    wanted |= {f"shield.mode.{mode}" for mode in ShieldMode}
    wanted |= {f"result.{result}{part}" for result in CaptureResult for part in ("", ".note", ".next")}
    wanted |= {f"stage.{state}" for state in CaptureState if state not in NO_WORDS}
    wanted |= {f"code.{code}" for code in DeclineCode if code is not DeclineCode.OTHER}

    assert wanted - set(words_of("en")) == set()


def test_every_row_of_the_audit_log_has_a_phrase() -> None:
    text = (STATIC.parents[2] / "docs" / "operating" / "audit.md").read_text("utf-8")
    table = text.partition("| row | when |")[2].partition("\n\n")[0]
    named = {name for line in table.splitlines() for name in re.findall(r"`([a-z_]+)`", line.split(" | ")[0])}

    listed: list[str] = run("audit/words.js", "m.EVENTS")

    assert len(named) > 20
    assert named - set(listed) == set()
    assert {f"audit.event.{event}" for event in listed} - set(words_of("en")) == set()


PAGES_OF_CALLS = (
    *(
        "ports/refusals.py",
        "ports/reports.py",
        "resources/calls.py",
        "resources/captures.py",
        "resources/reports.py",
    ),
    *("gate.py", "idempotency.py", "access.py", "problem.py", "limits.py"),
)
"""What answers the agent's page, the panel and the supervisor's: all that these modules refuse needs words there."""
PAGE_OF_ENGINEERS = ("ports/flow_bench.py", "ports/test_calls.py", "resources/nodes.py")
NEVER_ON_A_PAGE = {
    "no-token", "machines-only",  # asked for by programs alone
    "idempotency-key-form",  # the page makes its keys itself, well
    "not-a-proxy", "foreign-host", "url-too-long", "body-too-large",  # a page is not reached so, or sends no such thing
    "body-too-slow", "not-utf-8",  # nor does a browser send them
}  # fmt: skip


def refusals(module: str) -> set[str]:
    """Return the slugs in the code of a module of the API: of classes, and of answers given by status and slug."""
    tree = ast.parse((STATIC.parent / module).read_text("utf-8"))
    found = set()
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)):
                pairs = zip(names, values, strict=True)
                found |= {one.value for name, one in pairs if getattr(name, "id", "") == "slug"}
            case ast.Call(
                func=ast.Name(id="ApiRefusal" | "response"), args=[_, ast.Constant(value=str(slug)), *_]
            ):
                found.add(slug)
            case ast.Tuple(elts=[ast.Constant(value=int()), ast.Constant(value=str(slug)), _]):
                found.add(slug)
    return found


def test_whatever_is_refused_to_a_page_has_words() -> None:
    slugs = set().union(*map(refusals, PAGES_OF_CALLS))
    unsaid = {slug for slug in slugs - NEVER_ON_A_PAGE if f"problem.{slug}" not in words_of("en")}

    assert {
        "capture-over",
        "too-many-requests",
        "role-missing",
        "card-number",
        "internal",
        "report-days",
    } <= slugs
    assert slugs >= NEVER_ON_A_PAGE
    assert unsaid == set()


def test_whatever_is_refused_to_an_engineer_has_words() -> None:
    slugs = set().union(*map(refusals, PAGE_OF_ENGINEERS))

    assert {"workbench-busy", "evidence-failed"} <= slugs
    assert {f"engineer.problem.{slug}" for slug in slugs} - set(words_of("en")) == set()


def test_a_refusal_without_words_of_its_own_is_said_in_the_readers_language() -> None:
    said = '[m.problemWords("brand-new"), m.problemWords("input-refused", ["amount", "customer_number"])]'

    assert run("agent/words.js", said, "de") == [
        "Der Dienst hat das abgelehnt.",
        "Der Ablauf nimmt das nicht an: Betrag, Customer number.",
    ]


def test_every_plural_has_one_and_other() -> None:
    stems: dict[str, set[str]] = {}
    for key in words_of("en"):
        if key.endswith((".one", ".other")):
            stem, _, kind = key.rpartition(".")
            stems.setdefault(stem, set()).add(kind)

    assert stems
    assert set(map(frozenset, stems.values())) == {frozenset({"one", "other"})}


def test_the_first_language_that_there_is_a_list_for_is_spoken() -> None:
    wanted = [[None, "de-AT"], ["pt", "fr_CA", "de"], ["", "nl"], ["ES"], ["constructor", "en-GB"]]

    assert run("shared/i18n.js", f"{json.dumps(wanted)}.map(m.pickLanguage)") == [
        "de",
        "fr",
        "en",
        "es",
        "en",
    ]


def test_counts_take_the_plural_of_the_language() -> None:
    counts = (
        'm.countWords({count: 0}) + "|" + m.countWords({count: 1}) + "|" + m.countWords({count: 1000000})'
    )

    assert run("agent/words.js", counts) == "0 digits|1 digit|1000000 digits"
    assert run("agent/words.js", counts, "fr") == "0 chiffre|1 chiffre|1000000 chiffres"


def test_a_long_count_is_written_as_the_reader_writes_it_and_chooses_the_plural_all_the_same() -> None:
    counts = '[[1, "1"], [2000, "2,000"]].map(([count, shown]) => m.tCount("supervisor.tile.gone_count", count, shown))'

    assert run("shared/i18n.js", counts) == ["1 capture", "2,000 captures"]


def test_money_is_written_as_the_reader_writes_it() -> None:
    shown = '[m.money(4250, "EUR"), m.money(4250, "JPY"), m.money(4250, "KWD")].map((one) => one.replace(/\\s/g, " "))'

    assert run("shared/i18n.js", shown) == ["€42.50", "¥4,250", "KWD 4.250"]
    assert run("shared/i18n.js", shown, "de") == ["42,50 €", "4.250 ¥", "4,250 KWD"]


def test_a_time_is_minutes_and_seconds_until_it_needs_hours() -> None:
    assert run("shared/i18n.js", "[0, 222.9, 3599, 3723].map(m.duration)") == [
        "00:00",
        "03:42",
        "59:59",
        "1:02:03",
    ]


def test_a_field_is_named_by_its_flow_or_else_by_its_kind_in_the_readers_language() -> None:
    fields = [
        a_field("cvv", label="Security code"),
        a_field("cvv", label="Kartenprüfwert", named=True),
        {**a_field(), "kind": "later_kind", "label": "Later"},
    ]

    assert run("agent/words.js", f"{json.dumps(fields)}.map(m.fieldLabel)", "es") == [
        "Código de seguridad",
        "Kartenprüfwert",
        "Later",
    ]


def test_a_field_says_where_it_is() -> None:
    fields = [
        a_field(state="waiting"),
        a_field(state="keying", count=2, of=3),
        a_field(state="keying", count=12, of_usual=16),
        a_field(state="keying", count=17, of_usual=16),
        a_field(state="keying", count=None),
        a_field(state="valid", brand="visa"),
        a_field(state="invalid", reason="luhn"),
        a_field(state="timeout", reason="timeout"),
    ]

    assert run("agent/words.js", f"{json.dumps(fields)}.map((one) => m.fieldWords(one))") == [
        ["", "Waiting for the caller"],
        ["busy", "Keying 2 of 3"],
        ["busy", "Keying 12 of 16"],
        ["busy", "Keying, 17 digits"],
        ["busy", "Keying"],
        ["good", "Visa, valid"],
        ["bad", "Check digit wrong"],
        ["bad", "No keys received, ask again"],
    ]


@pytest.mark.parametrize(
    ("stands", "state", "count", "shown"),
    [
        ("paused", "keying", 2, ["warn", "Paused at 2 of 3"]),
        ("paused", "keying", None, ["warn", "Capture paused"]),
        ("paused", "waiting", 0, ["warn", "Paused"]),
        ("paused", "valid", 3, ["good", "Valid"]),
        ("fault", "keying", 2, ["bad", "Shield fault"]),
        ("fault", "waiting", 0, ["bad", "Shield fault"]),
        ("fault", "valid", 3, ["good", "Valid"]),
        ("unsure", "keying", 2, ["warn", "Not confirmed"]),
        ("unsure", "timeout", 0, ["bad", "No keys received, ask again"]),
        ("", "keying", 2, ["busy", "Keying 2 of 3"]),
    ],
)
def test_a_field_is_not_said_to_be_keyed_where_no_key_counts(stands, state, count, shown) -> None:
    field = a_field(state=state, count=count, of=None if count is None else 3)

    assert run("agent/words.js", f"m.fieldWords({json.dumps(field)}, {json.dumps(stands)})") == shown


def test_the_mask_shows_keys_and_those_to_come_and_last4_once_it_is_given() -> None:
    fields = [
        a_field(),
        a_field(state="keying", count=6, of_usual=16, masked="•••• ••"),
        a_field(state="keying", count=6, of_usual=15, masked="•••• ••", brand="amex"),
        a_field(state="keying", count=6, of=16, masked="•••• ••○○ ○○○○ ○○○○"),
        a_field(state="valid", count=16, masked="•••• •••• •••• ••••", last4="4242"),
        a_field(state="valid", count=15, masked="•••• •••••• •••••", last4="0005"),
        a_field(state="valid", count=13, masked="•••• •••• •••• •", last4="1234"),
        a_field(state="keying", count=None),
    ]

    assert run("agent/words.js", f"{json.dumps(fields)}.map(m.shownMask)") == [
        "○○○○ ○○○○ ○○○○ ○○○○",
        "•••• ••○○ ○○○○ ○○○○",
        "•••• ••○○○○ ○○○○○",
        "•••• ••○○ ○○○○ ○○○○",
        "•••• •••• •••• 4242",
        "•••• •••••• •0005",
        "•••• •••• •1234",
        "",
    ]


def test_who_hears_the_page_is_told_the_count_or_the_last_four_one_by_one() -> None:
    fields = [
        a_field(state="keying", count=6, of=16),
        a_field(state="valid", count=16, brand="visa", last4="4242"),
        a_field(state="keying", count=None),
    ]

    assert run("agent/words.js", f"{json.dumps(fields)}.map(m.heardMask)") == [
        "6 of 16 digits",
        "Visa ending 4 2 4 2",
        "keys not shown",
    ]


def test_a_reason_without_words_of_its_own_is_still_read() -> None:
    codes = (
        'm.codeWords("insufficient_funds") + "|" + m.codeWords("brand_new_code") + "|" + m.codeWords("other")'
    )

    assert run("agent/words.js", codes) == "not enough money|brand new code|not named by the bank"

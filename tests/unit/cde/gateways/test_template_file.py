"""Reading a template: what is refused, with file, line, key, what was found and what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from dtmf_shield.base.errors import ConfigurationError, OperatorError
from dtmf_shield.cde.gateways.template import open_connector
from dtmf_shield.cde.gateways.template_file import find_template, load_template, shipped_templates
from dtmf_shield.cde.gateways.toml_table import TEMPLATE_BYTES_MAX, lines_by_location
from tests.unit.cde.gateways.orders import settings

GOOD = """\
name = "acme"
documentation = "https://acme.example/api"
api_version = "3"
idempotency = "replay"
key_ttl_s = 3600

[authentication]
scheme = "header"
header = "X-Acme-Key"
credential = "the key"

[headers]
Idempotency-Key = "${key}"

[parameters.shop]
description = "the shop's number at Acme"
pattern = "[a-z]{1,8}"

[[operation]]
kind = "charge"
with = "card"
method = "POST"
path = "/shops/${parameters.shop}/charges"
encoding = "json"
moto = "channel"
answers = "charge"
body = \'\'\'
{
  "channel": "moto",
  "number": "${card.number}",
  "month": "${card.expiry_month:number}",
  "year": "20${card.expiry_year:number}",
  "amount": "${amount_minor:number}",
  "tags": ["${reference?}", "phone"]
}
\'\'\'

[answers.charge]
reference = "id"
decline_code = "reason"

[[answers.charge.rule]]
status = [200, "201"]
equals.outcome = "ok"
result = "approved"

[[answers.charge.rule]]
status = "4xx"
result = "refused"

[decline_codes]
51 = "insufficient_funds"
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "acme.toml"
    path.write_text(text)
    return path


def findings(tmp_path: Path, text: str) -> list[ConfigurationError]:
    with pytest.raises(ExceptionGroup) as caught:
        load_template(write(tmp_path, text))
    return list(caught.value.exceptions)


def line_of(text: str, part: str) -> int:
    """Line of the first that holds ``part``, or so many below it: ``part +2``."""
    part, _, below = part.partition(" +")
    return int(below or 0) + next(number for number, line in enumerate(text.splitlines(), 1) if part in line)


def test_a_good_template_is_read(tmp_path: Path) -> None:
    template = load_template(write(tmp_path, GOOD))

    assert (template.name, template.key_ttl_s, len(template.operations)) == ("acme", 3600, 1)


@pytest.mark.parametrize("path", shipped_templates(), ids=lambda path: path.stem)
def test_every_shipped_template_is_read_and_named_as_its_file(path: Path) -> None:
    assert load_template(path).name == path.stem


WRONG = [
    # (replaced, by, key, found, part of allowed, part of the line it is reported at)
    ('name = "acme"\n', "", "name", "nothing", "text in quotes", ""),
    ('name = "acme"', 'nam = "acme"', "nam", "an unknown key", "did you mean name?", "nam ="),
    ('name = "acme"', "name = 3", "name", "3", "text in quotes", "name ="),
    (
        '"https://acme.example/api"',
        '"acme.example"',
        "documentation",
        "'acme.example'",
        "https://",
        "documentation",
    ),
    ('"replay"', '"replays"', "idempotency", "'replays'", "did you mean replay?", "idempotency"),
    ("3600", "-1", "key_ttl_s", "-1", "from 0 to", "key_ttl_s"),
    ("3600", "true", "key_ttl_s", "True", "a whole number", "key_ttl_s"),
    ('scheme = "header"', 'scheme = "hedder"', "authentication.scheme", "'hedder'", "header?", "scheme"),
    ('header = "X-Acme-Key"\n', "", "authentication.header", "nothing", "text", "[authentication]"),
    ('"${key}"', '"${keys}"', "headers.Idempotency-Key", "${keys}", "did you mean key?", "Idempotency-Key"),
    (
        '"${key}"',
        '"${card.number}"',
        "headers.Idempotency-Key",
        "${card.number}",
        "one of key",
        "Idempotency-Key",
    ),
    ('"${key}"', '"${key?}"', "headers.Idempotency-Key", "a ? or :number", "alone", "Idempotency-Key"),
    (
        "Idempotency-Key",
        "Content-Length",
        "headers.Content-Length",
        "'Content-Length'",
        "itself",
        "Content-Length",
    ),
    ('"[a-z]{1,8}"', '"[a-z"', "parameters.shop.pattern", "no pattern", "regular expression", "pattern"),
    ('kind = "charge"', 'kind = "chrage"', "operation[0].kind", "'chrage'", "did you mean charge?", "kind ="),
    ('with = "card"', 'with = "reference"', "operation[0].with", "'reference'", "card, token", "with ="),
    (
        "${parameters.shop}/",
        "${parameters.ship}/",
        "operation[0].path",
        "${parameters.ship}",
        "parameters.shop?",
        "path =",
    ),
    ("${parameters.shop}/", "${card.number}/", "operation[0].path", "${card.number}", "one of", "path ="),
    ("/shops/", "shops/", "operation[0].path", "'shops/", "from / on", "path ="),
    ('"POST"', '"PSOT"', "operation[0].method", "'PSOT'", "did you mean POST?", "method ="),
    (
        'encoding = "json"',
        'encoding = "jsn"',
        "operation[0].encoding",
        "'jsn'",
        "did you mean json?",
        "encoding =",
    ),
    ('moto = "channel"\n', "", "operation[0].moto", "nothing", "no_moto_because", "[[operation]]"),
    ('moto = "channel"', 'moto = "chanel"', "operation[0].moto", "'chanel'", "fixed value", "moto ="),
    ('moto = "channel"', 'moto = "number"', "operation[0].moto", "'number'", "fixed value", "moto ="),
    (
        'moto = "channel"',
        'moto = "channel"\nno_moto_because = "x"',
        "operation[0].moto",
        "both",
        "telephone",
        "moto =",
    ),
    (
        'answers = "charge"',
        'answers = "charges"',
        "operation[0].answers",
        "'charges'",
        "charge?",
        "answers =",
    ),
    ('"month":', '"number":', "operation[0].body", "'number' twice", "each name once", "body = +1"),
    ('"phone"]', '"phone"', "operation[0].body", "no JSON", "JSON", "body = +8"),
    (
        "${card.number}",
        "${card.numbr}",
        "operation[0].body",
        "${card.numbr}",
        "card.number?",
        "${card.numbr}",
    ),
    ("${card.number}", "${token}", "operation[0].body", "${token}", "one of key", "${token}"),
    (
        "${card.number}",
        "${card.number:number}",
        "operation[0].body",
        ":number",
        "as a number",
        "${card.number:number}",
    ),
    (
        "20${card.expiry_year:number}",
        "y${card.expiry_year:number}",
        "operation[0].body",
        "beside text",
        "alone",
        "body = +1",
    ),
    ("${card.number}", "${", "operation[0].body", "${ without a name", "${name}", "body = +1"),
    (
        '[answers.charge]\nreference = "id"',
        '[answers.charge]\nreferences = "id"',
        "answers.charge.references",
        "unknown",
        "reference?",
        "references =",
    ),
    (
        'result = "approved"',
        'result = "refused"',
        "answers.charge.rule",
        "no rule",
        "success",
        "[answers.charge]",
    ),
    (
        'equals.outcome = "ok"\n',
        "",
        "answers.charge.rule[0].result",
        "any body",
        "success is read",
        'result = "approved"',
    ),
    ('status = "4xx"\n', "", "answers.charge.rule[1].status", "nothing", "5xx", "[[answers.charge.rule]] +5"),
    ('status = "4xx"', 'status = "9xx"', "answers.charge.rule[1].status", "'9xx'", "5xx", '"9xx"'),
    (
        'result = "refused"',
        'result = "failed"',
        "answers.charge.rule[1].result",
        "'failed'",
        "one of",
        '"failed"',
    ),
    (
        'equals.outcome = "ok"',
        "equals.outcome = 1.5",
        "answers.charge.rule[0].equals.outcome",
        "1.5",
        "text",
        "outcome",
    ),
    (
        'result = "refused"',
        'result = "refused"\nvoided = true',
        "answers.charge.rule[1].voided",
        "true",
        "approved",
        "voided",
    ),
    ('51 = "insufficient_funds"', '51 = "no_money"', "decline_codes.51", "'no_money'", "one of", "51 ="),
    (
        'reference = "id"',
        'reference = {path = "id", pattern = "(a)(b)"}',
        "answers.charge.reference.pattern",
        "2 groups",
        "one group",
        "reference =",
    ),
    (
        'reference = "id"',
        'reference = "a..b"',
        "answers.charge.reference",
        "'a..b'",
        "joined by dots",
        "reference =",
    ),
]


@pytest.mark.parametrize(("replaced", "by", "key", "found", "allowed", "at"), WRONG)
def test_a_finding_names_its_place_and_what_is_allowed(
    tmp_path: Path, replaced: str, by: str, key: str, found: str, allowed: str, at: str
) -> None:
    text = GOOD.replace(replaced, by, 1)

    matching = [each for each in findings(tmp_path, text) if each.key == key]

    assert matching, [str(each) for each in findings(tmp_path, text)]
    assert any(found in each.found and allowed in each.allowed for each in matching), str(matching[0])
    if at:
        assert matching[0].line == line_of(text, at), str(matching[0])


def test_all_findings_are_told_at_once(tmp_path: Path) -> None:
    text = GOOD.replace('"replay"', '"x"').replace('"POST"', '"y"').replace('"approved"', '"z"')

    assert {each.key for each in findings(tmp_path, text)} >= {
        "idempotency",
        "operation[0].method",
        "answers.charge.rule[0].result",
    }


def test_the_same_operation_twice_is_refused(tmp_path: Path) -> None:
    operation = GOOD[GOOD.index("[[operation]]") : GOOD.index("[answers.charge]")]
    text = GOOD.replace("[answers.charge]", operation + "[answers.charge]", 1)

    assert "stands above already" in findings(tmp_path, text)[0].found


def test_answers_of_no_operation_are_refused(tmp_path: Path) -> None:
    text = GOOD + '\n[answers.more]\n[[answers.more.rule]]\nstatus=200\npresent="id"\nresult="approved"\n'

    (finding,) = findings(tmp_path, text)

    assert (finding.key, finding.line) == ("answers.more", line_of(text, "[answers.more]"))


def test_a_form_line_is_reported_where_it_stands(tmp_path: Path) -> None:
    form = "channel=moto\nnumber=${card.number}\n\namount=${amont_minor}\n"
    start, end = GOOD.index('{\n  "channel'), GOOD.index("'''\n\n[answers")
    text = GOOD[:start].replace('"json"', '"form"') + form + GOOD[end:]

    (finding,) = findings(tmp_path, text)

    assert "did you mean amount_minor?" in finding.allowed
    assert finding.line == line_of(text, "amont_minor")


def test_a_token_may_never_have_long_digits(tmp_path: Path) -> None:
    text = GOOD.replace('reference = "id"', 'token = {path = "id", long_digits = true}')

    assert findings(tmp_path, text)[0].key == "answers.charge.token.long_digits"


def test_files_that_are_none_say_so(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="cannot read the template"):
        load_template(tmp_path / "none.toml")
    with pytest.raises(OperatorError, match="not valid TOML"):
        load_template(write(tmp_path, "= 3"))
    with pytest.raises(OperatorError, match="not valid TOML"):
        path = tmp_path / "bytes.toml"
        path.write_bytes(b"\xff\xfe")
        load_template(path)
    with pytest.raises(OperatorError, match="larger than"):
        load_template(write(tmp_path, "#" * (TEMPLATE_BYTES_MAX + 1)))


def test_a_shipped_template_is_found_by_its_name_with_a_hint() -> None:
    assert find_template("stripe").name == "stripe"
    with pytest.raises(OperatorError, match=r"did you mean stripe\?"):
        find_template("strpe")


def test_a_template_file_with_findings_stops_the_connector_with_the_first(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD.replace('"replay"', '"x"'))

    with pytest.raises(OperatorError, match=r"1 finding.*idempotency.*gateway check"):
        open_connector(settings(str(path)))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({}, r"parameters\.shop: found nothing; the shop's number at Acme"),
        ({"parameters": (("shop", "UPPER"),)}, r"parameters\.shop: found 'UPPER'"),
        ({"parameters": (("shp", "a"),)}, r"parameters\.shp: found an unknown key.*did you mean shop\?"),
        ({"parameters": (("shop", "a"),), "path": "/x"}, "path: found '/x'"),
        ({"parameters": (("shop", "a"),), "idempotency": "replays"}, r"did you mean replay\?"),
    ],
)
def test_settings_that_do_not_fit_the_template(tmp_path: Path, more: dict[str, object], message: str) -> None:
    with pytest.raises(OperatorError, match=message):
        open_connector(settings(str(write(tmp_path, GOOD)), **more))


@pytest.mark.parametrize("path", ["", "pay", "/a b", "/\r\nX: y", "/é"])
def test_a_path_of_the_configuration_is_a_path(path: str) -> None:
    with pytest.raises(OperatorError, match="path: found"):
        open_connector(settings("generic", path=path))


def test_lines_are_found_behind_long_texts_and_within_arrays_of_tables() -> None:
    text = 'a = 1\nb = """\nc = 2\n"""\n[[t]]\nk = 1\n[[t.u]]\nk = 2\n[[t]]\nk = 3\n[[t.u]]\n"q.r".s = 4\n'

    lines = lines_by_location(text)

    assert lines["a",] == 1
    assert ("c",) not in lines
    assert (lines["t", 0, "k"], lines["t", 0, "u", 0, "k"], lines["t", 1, "k"]) == (6, 8, 10)
    assert lines["t", 1, "u", 0, "q.r", "s"] == 12

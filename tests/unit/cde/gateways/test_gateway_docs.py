"""The pages on gateways and templates: every key, code, parameter and template stands there, and the example works."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

from dtmf_shield.base.config import GATEWAY_KINDS, Config
from dtmf_shield.cde.gateways import answer_file, template_file
from dtmf_shield.cde.gateways.base import Answer, GatewayResultKind, Order, SlotField
from dtmf_shield.cde.gateways.placeholders import VALUES
from dtmf_shield.cde.gateways.template import open_connector
from dtmf_shield.cde.gateways.template_file import find_template, load_template
from dtmf_shield.model.payment import CALLER_MAY_RETRY, DeclineCode, OperationKind
from tests.unit.cde.gateways.golden_requests import NAMES
from tests.unit.cde.gateways.orders import body_of, card, settings

DOCS = Path(__file__).parents[4] / "docs" / "reference"
GATEWAYS = (DOCS / "gateways.md").read_text()
TEMPLATES = (DOCS / "connector-templates.md").read_text()


@pytest.fixture
def acme(tmp_path: Path) -> Path:
    example = re.search(r"```toml\n(name = .*?)```", TEMPLATES, re.DOTALL)
    assert example is not None
    path = tmp_path / "acme.toml"
    path.write_text(example[1])
    return path


def test_the_example_is_a_template(acme: Path) -> None:
    connector = open_connector(settings(str(acme), parameters=(("shop", "17"),)))
    order = Order(OperationKind.TOKENIZE, "key", card=card())

    assert load_template(acme).name == "acme"
    assert body_of(connector, order) == (
        b'{"number":"4242424242424242","expiry":{"month":3,"year":2030},"cvc":"123"}'
    )
    assert connector.result(order, Answer(201, b'{"card":{"id":"c1"}}')).token == "c1"
    lookup = Order(OperationKind.LOOKUP, "k&1", of=OperationKind.CHARGE)
    assert connector.request(lookup).path == "/shops/17/charges?key=k%261"
    assert connector.result(lookup, Answer(404, b"")).kind is GatewayResultKind.NOT_FOUND


def test_the_configuration_of_the_page_is_one() -> None:
    examples = re.findall(r"```toml\n(\[gateway\].*?)```", GATEWAYS, re.DOTALL)

    assert examples
    for example in examples:
        assert Config.model_validate(tomllib.loads(example)).gateway.kind in GATEWAY_KINDS


def test_decline_codes_are_those_of_the_closed_list() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (yes|no) \|$", GATEWAYS, re.MULTILINE))

    assert rows == {code.value: "yes" if code in CALLER_MAY_RETRY else "no" for code in DeclineCode}


def test_every_result_is_explained() -> None:
    for kind in GatewayResultKind:
        assert f"| `{kind.value}` |" in GATEWAYS


@pytest.mark.parametrize("name", NAMES)
def test_every_template_has_its_section_and_parameters(name: str) -> None:
    section = GATEWAYS.split(f"\n### {name}\n")[1].split("\n### ")[0]

    for parameter in find_template(name).parameters:
        assert f"| `{parameter.name}` |" in section


def test_the_configuration_offers_what_is_shipped() -> None:
    assert set(GATEWAY_KINDS) == {"embedded", *NAMES}


def keys_read(module) -> set[str]:
    """Keys that a loader asks for by name."""
    readers = {"text", "choice", "boolean", "integer", "texts", "scalars", "table", "tables", "has"}
    helpers = {"_extract", "_check", "_paths"}
    keys = set()
    for node in ast.walk(ast.parse(Path(module.__file__).read_text())):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        wanted = node.args[0:1] if name in readers else node.args[1:2] if name in helpers else []
        keys |= {
            each.value for each in wanted if isinstance(each, ast.Constant) and isinstance(each.value, str)
        }
    return keys


@pytest.mark.parametrize("module", [template_file, answer_file])
def test_every_key_is_on_the_page(module) -> None:
    keys = keys_read(module)

    assert len(keys) >= 15
    forms = ("`{}`", "`{} =", "[{}", ".{}]")
    missing = [key for key in keys if not any(form.format(key) in TEMPLATES for form in forms)]
    assert missing == []


def test_every_value_is_on_the_page() -> None:
    for name in (*VALUES, *(f"card.{field.value}" for field in SlotField)):
        assert f"`{name}`" in TEMPLATES

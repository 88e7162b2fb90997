"""No message between processes has room for a digit: every text field is named here, with what it may hold."""

import inspect
import typing

import msgspec
import pytest

from dtmf_shield.model import capture, messages, stream

TEXT_FIELDS = {
    "call_id": "random identifier",
    "capture_id": "random identifier",
    "takes_over": "random identifier of a capture",
    "reason": "closed set, or a sentence for the operator",
    "path": "recording file or folder of prompts, named by us",
    "pieces": "names of recorded pieces",
    "reference": "the merchant's, digit runs refused by the API",
    "field": "field name of a flow",
    "name": "field name of a flow",
    "brands": "brand names",
    "brand": "brand name",
    "accepted": "field names",
    "token": "what the gateway gave",
    "gateway_code": "closed set",
    "remote_host": "address",
    "weaker": "names of protections, and why",
    "require": "names of protections",
    "state_directory": "configuration",
    "star_codes": "configuration",
    "template": "configuration",
    "addresses": "configuration",
    "server_name": "configuration",
    "host": "configuration",
    "ca_file": "configuration",
    "credentials_file": "configuration",
    "idempotency": "configuration",
    "client_certificate_file": "configuration",
    "client_key_file": "configuration",
    "pins": "configuration",
    "parameters": "configuration",
    "operation_id": "random identifier",
    "parent_id": "random identifier",
    "flow": "name of a flow",
    "flow_files": "names of flows and of their versions",
    "gateways": "configuration",
    "caller": "keyed hash",
    "agent": "name in the configuration, or the key to an agent, as the flow file has it",
    "currency": "ISO 4217",
    "gateway": "configuration",
    "code": "closed set",
    "rule": "name in the configuration",
    "per": "closed set",
    "counted": "closed set",
    "on_hang_up": "closed set",
    "login_ticket": "random secret",
    "api_key": "random secret",
    "play_url": "loopback address and port",
    "play_key": "random secret",
    "format": "closed set",
    "keys": "options of a menu, as the flow file has them",
    "submit": "closed set",
    "undo": "closed set",
    "reset": "closed set",
    "repeat": "closed set",
    "type_ahead": "closed set",
    "lengths": "counts",
    "country": "ISO 3166-1",
    "last4": "an exception by design: four digits of an accepted card",
    "value": "an exception by design: at most eleven digits of a field that the flow calls not sensitive",
}
BYTES_FIELDS = {
    "config_json": "configuration",
    "caller_key": "random secret",
}


def structs():
    for module in (messages, capture, stream):
        for _, value in inspect.getmembers(module, inspect.isclass):
            if issubclass(value, msgspec.Struct) and value.__module__ == module.__name__:
                yield value


def mentions(annotation, wanted):
    if annotation is wanted or getattr(annotation, "__supertype__", None) is wanted:
        return True
    return any(mentions(argument, wanted) for argument in typing.get_args(annotation))


@pytest.mark.parametrize("struct", list(structs()), ids=lambda struct: struct.__name__)
def test_every_field_that_could_hold_text_is_known(struct):
    for name, annotation in typing.get_type_hints(struct).items():
        if mentions(annotation, str):
            assert name in TEXT_FIELDS, f"{struct.__name__}.{name} could carry digits"
        if mentions(annotation, bytes) or mentions(annotation, memoryview):
            assert name in BYTES_FIELDS, f"{struct.__name__}.{name} could carry digits"
        assert annotation is not typing.Any
        assert annotation is not object


UNIONS = [
    value
    for name, value in vars(messages).items()
    if name[0].isupper() and typing.get_args(value) and isinstance(typing.get_args(value)[0], type)
]


@pytest.mark.parametrize("union", UNIONS, ids=str)
def test_each_union_of_a_channel_can_be_decoded(union):
    msgspec.msgpack.Decoder(union)

"""What control makes of a route's language, and what it says where a route's flow did not begin."""

from unittest.mock import Mock

from structlog.testing import capture_logs

from dtmf_shield.base.config import Config, RouteSection
from dtmf_shield.base.log import holds_card_number, scrub
from dtmf_shield.call.events import CaptureNotStarted
from dtmf_shield.model.ids import CallId
from dtmf_shield.service.control.process import NAME_BYTES, ControlProcess, new_name, settings_of


def test_the_language_of_a_route_reaches_the_call_core():
    routes = [
        RouteSection(dialled="44*", agent="agent", language="fr-FR"),
        RouteSection(dialled="*", agent="agent"),
    ]

    settings = settings_of(Config(routes=routes), {})

    assert [route.language for route in settings.routes] == ["fr-FR", ""]


def test_a_flow_that_a_route_could_not_begin_is_one_line_in_the_log():
    process = ControlProcess.__new__(ControlProcess)
    process._desk = Mock()
    faults = ("input account: is needed by the flow told and comes with SIP header X-Account",)

    with capture_logs() as lines:
        process._take(CaptureNotStarted(CallId("c1"), "told", "the flow does not take these inputs", faults))

    (line,) = lines
    assert line["event"] == "capture_not_started"
    assert (line["call_id"], line["flow"], line["faults"]) == ("c1", "told", faults)


def test_a_name_of_ours_is_never_taken_for_a_card_number(monkeypatch):
    """One in 270 names of hexadecimal digits was: its call could not be asked for, and was scrubbed in rows."""
    hexadecimal = "77fa18391c84126257386119"
    assert holds_card_number(hexadecimal)
    monkeypatch.setattr("secrets.token_hex", lambda count: hexadecimal if count == NAME_BYTES else "")

    name = new_name()

    assert name.isalpha()
    assert len(name) == len(hexadecimal)
    assert scrub(name) == name

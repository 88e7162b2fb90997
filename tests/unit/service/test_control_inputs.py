"""What control makes of a route's language, and what it says where a route's flow did not begin."""

from unittest.mock import Mock

from structlog.testing import capture_logs

from dtmf_shield.base.config import Config, RouteSection
from dtmf_shield.call.events import CaptureNotStarted
from dtmf_shield.model.ids import CallId
from dtmf_shield.service.control.process import ControlProcess, settings_of


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

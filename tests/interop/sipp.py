"""SIPp (Debian sip-tester) as caller: scenarios written step by step, and the process that plays them.

An independent SIP client (RFC 3261, RFC 3264): in-band keys by ``rtp_stream``, telephone events by ``play_pcap_audio``
(raw sockets: root), keys by INFO bodies. A scenario waits at ``wait_for_go`` until the test says so with an in-dialog
MESSAGE sent to SIPp itself, which never passes the service. No TLS: SIPp has none.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Self
from xml.sax.saxutils import quoteattr

import pytest

RESPONSE_LIMIT_MS = 10_000
GO_LIMIT_MS = 40_000
STARTS_MAX = 3
STARTING_S = 0.25
RUN_LIMIT_S = 90

_SDP = (
    "v=0\no=sipp 1 {version} IN IP[local_ip_type] [local_ip]\ns=-\nc=IN IP[media_ip_type] [media_ip]\nt=0 0\n"
    "m=audio {port} RTP/AVP {codec} 101\na=rtpmap:{codec} {name}/8000\na=rtpmap:101 telephone-event/8000\n"
    "a=fmtp:101 0-15\na=ptime:{ptime_ms}\na={direction}\n"
)
PCMU, PCMA, G722, G729 = 0, 8, 9, 18
_CODEC_NAMES = {PCMU: "PCMU", PCMA: "PCMA", G722: "G722", G729: "G729"}
"""By static payload type (RFC 3551 section 6)."""


class Scenario:
    """A caller's script. Every method adds a step and returns the scenario."""

    def __init__(self, *, pcap: bool = False, codec: int = PCMU, ptime_ms: int = 20) -> None:
        """``pcap``: audio comes from pcap files, so SIPp's other RTP port stands in the SDP.

        ``codec``: the only one in the SDP.
        """
        self._codec, self._ptime_ms, self._late = codec, ptime_ms, False
        self._steps: list[str] = []
        self._port = "[media_port]" if pcap else "[rtpstream_audio_port]"
        self._cseq = 1
        self._version = 1

    def xml(self) -> str:
        """Return the scenario as SIPp reads it."""
        body = "\n".join(self._steps)
        return f'<?xml version="1.0" encoding="UTF-8" ?>\n<scenario name="caller">\n{body}\n</scenario>\n'

    # Requests

    def invite(self, *, early_media: bool = False, ringing: bool = True, late: bool = False) -> Self:
        """Call; go on at the answer. ``late``: the other side is to offer, and our ACK answers."""
        self._late = late
        sdp = "" if late else self._sdp("sendrecv")
        self._request("INVITE", target="sip:[service]@[remote_ip]:[remote_port]", sdp=sdp, to="")
        self._response(100, optional=True)
        if ringing:
            self._response(180, optional=True)
        if early_media:
            self._response(183)
        return self

    def answered(self) -> Self:
        """Take the 200 and acknowledge it."""
        self._steps.append(
            f'<recv response="200" rrs="true" rtd="true" timeout="{RESPONSE_LIMIT_MS}"></recv>'
        )
        sdp = self._sdp("sendrecv") if self._late else ""
        return self._request("ACK", sdp=sdp, retransmit=False, same_cseq=True)

    def refused(self, status: int, *, with_header: str = "") -> Self:
        """Take a failure with exactly this status and acknowledge it in its transaction.

        ``with_header``: it must be there, followed by a number.
        """
        self._response(status, with_header=with_header)
        text = _message(
            "ACK sip:[service]@[remote_ip]:[remote_port] SIP/2.0",
            ["[last_Via:]", "[last_From:]", "[last_To:]", "Call-ID: [call_id]", f"CSeq: {self._cseq} ACK"],
        )
        self._steps.append(f"<send>{text}</send>")
        return self

    def ringing(self) -> Self:
        """Wait for 180."""
        return self._response(180)

    def cancel(self) -> Self:
        """Cancel the INVITE that is under way: 200 to the CANCEL, 487 to the INVITE."""
        text = _message(
            "CANCEL sip:[service]@[remote_ip]:[remote_port] SIP/2.0",
            [
                "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch-1]",
                "From: <sip:caller@[local_ip]:[local_port]>;tag=[pid]c[call_number]",
                "To: <sip:[service]@[remote_ip]:[remote_port]>",
                "Call-ID: [call_id]",
                f"CSeq: {self._cseq} CANCEL",
            ],
        )
        # The CANCEL bears the branch of the INVITE: SIPp numbers branches by step, so it is written out as one.
        self._steps.append(
            f'<send retrans="500">{text.replace("[branch-1]", "z9hG4bK-[pid]-[call_number]-invite")}</send>'
        )
        self._response(200)
        return self.refused(487)

    def hold(self) -> Self:
        """Put the other side on hold by re-INVITE."""
        return self._reinvite("sendonly")

    def resume(self) -> Self:
        """Take it back."""
        return self._reinvite("sendrecv")

    def change_codec(self, codec: int) -> Self:
        """Go over to another codec by re-INVITE."""
        self._codec = codec
        return self._reinvite("sendrecv")

    def update(self, codec: int) -> Self:
        """Go over to another codec by UPDATE (RFC 3311)."""
        self._codec = codec
        self._version += 1
        self._request("UPDATE", sdp=self._sdp("sendrecv"))
        return self._response(200)

    def info(self, keys: str, gap_ms: int = 120) -> Self:
        """Send each key as an INFO with application/dtmf-relay; each must be answered 200."""
        for key in keys:
            body = f"Signal={key}\nDuration=80\n"
            self.pause(gap_ms)
            self._request("INFO", body=body, content_type="application/dtmf-relay")
            self._response(200)
        return self

    def bye(self) -> Self:
        """Hang up."""
        self._request("BYE")
        return self._response(200)

    def takes_bye(self) -> Self:
        """Wait for the other side to hang up."""
        return self._answer_request("BYE", GO_LIMIT_MS)

    def _answer_request(self, method: str, limit_ms: int) -> Self:
        text = _message(
            "SIP/2.0 200 OK",
            ["[last_Via:]", "[last_From:]", "[last_To:]", "[last_Call-ID:]", "[last_CSeq:]"],
        )
        self._steps.append(f'<recv request="{method}" timeout="{limit_ms}"></recv>')
        self._steps.append(f"<send>{text}</send>")
        return self

    # Audio and waiting

    def stream(self, path: Path, *, loops: int = 1) -> Self:
        """Play a headerless file of the codec at hand; -1 loops for ever."""
        return self._execute("rtp_stream", f"{path},{loops},{self._codec}")

    def pcap(self, path: Path) -> Self:
        """Play RTP from a pcap file in its own rhythm; it replaces what was playing."""
        return self._execute("play_pcap_audio", str(path))

    def pause(self, milliseconds: int) -> Self:
        """Do nothing for a while."""
        self._steps.append(f'<pause milliseconds="{milliseconds}"/>')
        return self

    def wait_for_go(self) -> Self:
        """Wait until the test says go."""
        self._steps.append(f'<recv request="MESSAGE" timeout="{GO_LIMIT_MS}"></recv>')
        return self

    def _execute(self, action: str, argument: str) -> Self:
        self._steps.append(f"<nop><action><exec {action}={quoteattr(argument)}/></action></nop>")
        return self

    # Pieces

    def _sdp(self, direction: str) -> str:
        return _SDP.format(
            port=self._port,
            direction=direction,
            version=self._version,
            codec=self._codec,
            name=_CODEC_NAMES[self._codec],
            ptime_ms=self._ptime_ms,
        )

    def _reinvite(self, direction: str) -> Self:
        self._version += 1
        self._request("INVITE", sdp=self._sdp(direction))
        self._response(100, optional=True)
        self._response(200)
        return self._request("ACK", retransmit=False, same_cseq=True)

    def _response(self, status: int, *, optional: bool = False, with_header: str = "") -> Self:
        kind = 'optional="true"' if optional else f'timeout="{RESPONSE_LIMIT_MS}"'
        routes = ' rrs="true"' if 180 <= status < 300 else ""
        check = ""
        if with_header:
            search = f'regexp="[0-9]+" search_in="hdr" header="{with_header}:" check_it="true" assign_to="1"'
            check = f'<action><ereg {search}/><log message="[$1]"/></action>'
        self._steps.append(f'<recv response="{status}" {kind}{routes}>{check}</recv>')
        return self

    def _request(
        self,
        method: str,
        *,
        target: str = "[next_url]",
        sdp: str = "",
        body: str = "",
        content_type: str = "application/sdp",
        to: str = "[peer_tag_param]",
        retransmit: bool = True,
        same_cseq: bool = False,
    ) -> Self:
        first = not self._steps
        if not same_cseq and not first:
            self._cseq += 1
        branch = "z9hG4bK-[pid]-[call_number]-invite" if first else "[branch]"
        headers = [
            f"Via: SIP/2.0/[transport] [local_ip]:[local_port];branch={branch}",
            "From: <sip:caller@[local_ip]:[local_port]>;tag=[pid]c[call_number]",
            f"To: <sip:[service]@[remote_ip]:[remote_port]>{to}",
            "Call-ID: [call_id]",
            f"CSeq: {self._cseq} {method}",
            "Contact: <sip:caller@[local_ip]:[local_port]>",
        ]
        if not first:
            headers.append("[routes]")
        text = _message(f"{method} {target} SIP/2.0", headers, sdp or body, content_type)
        timer = ' retrans="500"' if retransmit else ""
        self._steps.append(f"<send{timer}>{text}</send>")
        return self


def _message(
    first_line: str, headers: list[str], body: str = "", content_type: str = "application/sdp"
) -> str:
    lines = [first_line, *headers, "Max-Forwards: 70"]
    if body:
        lines += [f"Content-Type: {content_type}", "Content-Length: [len]", "", body]
    else:
        lines += ["Content-Length: 0", "", ""]
    return "<![CDATA[\n" + "\n".join(lines) + "\n]]>"


class SippCaller:
    """One SIPp process that plays one scenario, once or for several calls at a time."""

    def __init__(
        self,
        directory: Path,
        scenario: Scenario,
        service: tuple[str, int],
        *,
        dialled: str,
        calls: int = 1,
        local: str = "127.0.0.1",
    ) -> None:
        """Start it. Fails the test where SIPp is missing, or where raw sockets are refused."""
        program = shutil.which("sipp")
        if program is None:
            pytest.fail("sipp is missing: apt-get install sip-tester")
        xml = scenario.xml()
        if "play_pcap_audio" in xml and os.geteuid() != 0:
            pytest.fail("SIPp plays telephone events by raw sockets: run this test as root")
        self._family = socket.AF_INET6 if ":" in local else socket.AF_INET
        self._local = local
        self._goes = 0
        self._name = secrets.token_hex(4)
        self._directory = directory / f"sipp-{self._name}"
        self._directory.mkdir(parents=True)
        (self._directory / "caller.xml").write_text(xml, "utf-8")
        host = f"[{service[0]}]" if ":" in service[0] else service[0]
        command = [
            program,
            f"{host}:{service[1]}",
            "-sf",
            "caller.xml",
            "-s",
            dialled,
            "-i",
            local,
            "-mi",
            local,
        ]
        command += ["-m", str(calls), "-l", str(calls), "-r", str(calls), "-cid_str", f"%u-{self._name}"]
        command += ["-nostdin", "-trace_err", "-error_file", "errors.log", "-timeout", f"{RUN_LIMIT_S}s"]
        command += ["-timeout_error", "-max_retrans", "5"]
        for _ in range(STARTS_MAX):
            self.port = free_port(local)
            ports = ["-p", str(self.port), "-mp", str(free_port(local)), "-cp", str(free_port("127.0.0.1"))]
            self._process = subprocess.Popen(
                command + ports, cwd=self._directory, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
            )
            if not self._ends_at_once():
                return
            self.stop()
        pytest.fail(f"SIPp does not start: {self._errors()}")

    def _ends_at_once(self) -> bool:
        """Tell whether it gave up while starting: somebody took one of its ports."""
        try:
            return self._process.wait(STARTING_S) != 0
        except subprocess.TimeoutExpired:
            return False

    def go(self, call_number: int = 1) -> None:
        """Let a call that waits go on."""
        host = f"[{self._local}]" if ":" in self._local else self._local
        self._goes += 1  # SIPp drops what looks like a retransmission.
        message = (
            f"MESSAGE sip:caller@{host}:{self.port} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {host}:9;branch=z9hG4bKgo{self._goes}\r\n"
            f"From: <sip:test@{host}>;tag=go\r\nTo: <sip:caller@{host}>\r\nCall-ID: {call_number}-{self._name}\r\n"
            f"CSeq: {self._goes} MESSAGE\r\nMax-Forwards: 1\r\nContent-Length: 0\r\n\r\n"
        )
        with socket.socket(self._family, socket.SOCK_DGRAM) as sock:
            sock.sendto(message.encode(), (self._local, self.port))

    def finish(self, limit_s: float = 45.0) -> None:
        """Wait for the end of every call; fail with SIPp's own words where one went wrong."""
        try:
            code = self._process.wait(limit_s)
        except subprocess.TimeoutExpired:
            self.stop()
            pytest.fail(f"SIPp did not finish within {limit_s:.0f} s: {self._errors()}")
        assert code == 0, f"SIPp ended with {code}: {self._errors()}"

    def stop(self) -> None:
        """End it, whatever it is at: the caller's telephone falls silent without a BYE."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(5)
        if self._process.stderr is not None:
            self._process.stderr.close()

    def _errors(self) -> str:
        path = self._directory / "errors.log"
        said = path.read_text("utf-8", "replace")[-2_000:] if path.exists() else ""
        return said or "it left no error file"


def free_port(address: str) -> int:
    """Return a UDP port that was free a moment ago, even, from the range SIPp may count on from."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    deadline_s = time.monotonic() + 5
    while time.monotonic() < deadline_s:
        port = 10_000 + secrets.randbelow(10_000) * 2
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            try:
                sock.bind((address, port))
            except OSError:
                continue
            return port
    pytest.fail(f"no free UDP port on {address}")

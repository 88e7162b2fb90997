"""One telephone of the demonstration, built on PJSIP (pjsua2) and run as a process of its own.

Reads commands as JSON lines on standard input, writes events as JSON lines on standard output, and ends when its
standard input closes. One call at a time. It imports nothing of the service, so that it is an independent witness.
Speaks PCMU and PCMA at 8 kHz, or, with ``G722`` as its argument, that alone and at 16 kHz.

Commands: ``call`` (uri), ``record`` (sent, heard: file names), ``talk`` (file), ``key`` (door, file or digit,
tone_ms), ``hang_up``, ``quit``. Events: ``ready`` (port), ``ringing``, ``confirmed``, ``media``, ``digit`` (a
telephone event reached this phone), ``info`` (a SIP INFO reached this phone), ``ended`` (code), ``error``.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from collections.abc import Callable
from typing import Any, Final

import pjsua2 as pj

NARROWBAND_HZ: Final = 8_000
WIDEBAND_HZ: Final = 16_000
POLL_MS: Final = 5
NARROWBAND_PRIORITY: Final = {"PCMU/8000/1": 255, "PCMA/8000/1": 200}
WIDEBAND_PRIORITY: Final = {"G722/16000/1": 255}
COMMAND_BYTES_MAX: Final = 65_536
_LOG_LEVEL: Final = 0


_EVENTS_FD: Final = os.dup(1)
"""Where events go. The library prints to standard output before it can be told not to: see main."""


def emit(event: str, **fields: object) -> None:
    """Write one event line."""
    os.write(_EVENTS_FD, json.dumps({"event": event, **fields}).encode() + b"\n")


class PhoneCall(pj.Call):  # type: ignore[misc]  # pjsua2 has no types
    """One call: tells what happens to it and counts what should not arrive."""

    def __init__(self, account: pj.Account, call_id: int, phone: Phone) -> None:
        super().__init__(account, call_id)
        self._phone = phone
        self._had_media = False

    def onCallState(self, prm: Any) -> None:  # noqa: N802 - the library's name
        """Report the answer and the end, with its status code."""
        info = self.getInfo()
        if info.state == pj.PJSIP_INV_STATE_CONFIRMED:
            emit("confirmed")
        elif info.state == pj.PJSIP_INV_STATE_DISCONNECTED:
            self._phone.close_files()
            emit("ended", code=int(info.lastStatusCode))

    def onCallMediaState(self, prm: Any) -> None:  # noqa: N802 - pjsua2's name
        """Take up the audio once it flows."""
        info = self.getInfo()  # kept: its list of media dies with it
        for index, media in enumerate(info.media):
            if media.type == pj.PJMEDIA_TYPE_AUDIO and media.status == pj.PJSUA_CALL_MEDIA_ACTIVE:
                self._phone.audio_is_up(self.getAudioMedia(index))
                if not self._had_media:
                    emit("media")
                self._had_media = True

    def onDtmfDigit(self, prm: Any) -> None:  # noqa: N802 - pjsua2's name
        """A key reached this phone as a telephone event. Only that it did is told; INFO is counted below."""
        if prm.method == pj.PJSUA_DTMF_METHOD_RFC2833:
            emit("digit")

    def onCallTsxState(self, prm: Any) -> None:  # noqa: N802 - pjsua2's name
        """Count every INFO that arrives, whatever its body."""
        transaction = prm.e.body.tsxState.tsx
        arrived = transaction.role == pj.PJSIP_ROLE_UAS and transaction.state == pj.PJSIP_TSX_STATE_TRYING
        if transaction.method == "INFO" and arrived:
            emit("info")


class PhoneAccount(pj.Account):  # type: ignore[misc]  # pjsua2 has no types
    """Answers whoever calls."""

    def __init__(self, phone: Phone) -> None:
        super().__init__()
        self._phone = phone

    def onIncomingCall(self, prm: Any) -> None:  # noqa: N802 - pjsua2's name
        """Ring shortly, then answer."""
        self._phone.answer(prm.callId)


class Phone:
    """The process's one telephone."""

    def __init__(self, *, wideband: bool = False) -> None:
        self._endpoint = pj.Endpoint()
        self._endpoint.libCreate()
        self._endpoint.libInit(_endpoint_settings(WIDEBAND_HZ if wideband else NARROWBAND_HZ))
        transport = pj.TransportConfig()
        transport.port = 0
        transport.boundAddress = "127.0.0.1"
        transport_id = self._endpoint.transportCreate(pj.PJSIP_TRANSPORT_UDP, transport)
        self._endpoint.libStart()
        self._endpoint.audDevManager().setNullDev()
        priority = WIDEBAND_PRIORITY if wideband else NARROWBAND_PRIORITY
        for codec in self._endpoint.codecEnum2():
            self._endpoint.codecSetPriority(codec.codecId, priority.get(codec.codecId, 0))
        self.port = int(self._endpoint.transportGetInfo(transport_id).localAddress.rpartition(":")[2])
        self._account = PhoneAccount(self)
        self._account.create(_account_settings(self.port))
        self._calls: list[PhoneCall] = []  # never emptied: deleting an ended call can abort the process
        self._audio: Any = None
        self._speech: Any = None
        self._keys: list[Any] = []
        self._sent: Any = None
        self._heard: Any = None
        self._files: dict[str, str] = {}

    def run(self) -> None:
        """Serve commands and the network until told to quit or standard input closes."""
        lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        threading.Thread(target=_read_lines, args=(lines,), daemon=True).start()
        emit("ready", port=self.port)
        while True:
            self._endpoint.libHandleEvents(POLL_MS)
            try:
                line = lines.get_nowait()
            except queue.Empty:
                continue
            if line is None or not self._obey(json.loads(line)):
                break
        self.close_files()
        self._endpoint.libDestroy()

    def _obey(self, command: dict[str, Any]) -> bool:
        if command["do"] == "quit":
            return False
        actions: dict[str, Callable[[dict[str, Any]], None]] = {
            "call": self._call,
            "record": self._record,
            "talk": self._talk,
            "key": self._key,
            "hang_up": self._hang_up,
        }
        try:
            actions[command["do"]](command)
        except pj.Error as error:
            emit("error", doing=command["do"], reason=error.reason)
        return True

    def answer(self, call_id: int) -> None:
        """Answer an incoming call at once."""
        call = PhoneCall(self._account, call_id, self)
        self._calls.append(call)
        emit("ringing")
        parameters = pj.CallOpParam()
        parameters.statusCode = 200
        call.answer(parameters)

    def _call(self, command: dict[str, Any]) -> None:
        call = PhoneCall(self._account, pj.PJSUA_INVALID_ID, self)
        self._calls.append(call)
        call.makeCall(command["uri"], pj.CallOpParam(True))

    def _record(self, command: dict[str, Any]) -> None:
        """Remember where to record; it begins when the audio does."""
        self._files = {"sent": command["sent"], "heard": command["heard"]}

    def _talk(self, command: dict[str, Any]) -> None:
        self._speech = pj.AudioMediaPlayer()
        self._speech.createPlayer(command["file"])
        if self._audio is not None:
            self._connect(self._speech)

    def audio_is_up(self, audio: Any) -> None:
        """Connect recorders and speech to a call's audio, again after each re-negotiation."""
        self._audio = audio
        if self._files and self._sent is None:
            self._sent, self._heard = pj.AudioMediaRecorder(), pj.AudioMediaRecorder()
            self._sent.createRecorder(self._files["sent"])
            self._heard.createRecorder(self._files["heard"])
        if self._heard is not None:
            audio.startTransmit(self._heard)
        if self._speech is not None:
            self._connect(self._speech)

    def _connect(self, source: Any) -> None:
        source.startTransmit(self._audio)
        if self._sent is not None:
            source.startTransmit(self._sent)

    def _key(self, command: dict[str, Any]) -> None:
        call = self._calls[-1]
        if command["door"] == "inband":
            player = pj.AudioMediaPlayer()
            player.createPlayer(command["file"], pj.PJMEDIA_FILE_NO_LOOP)
            self._keys.append(player)
            self._connect(player)
        else:
            by_info = command["door"] == "info"
            parameters = pj.CallSendDtmfParam()
            parameters.method = pj.PJSUA_DTMF_METHOD_SIP_INFO if by_info else pj.PJSUA_DTMF_METHOD_RFC2833
            parameters.duration = command["tone_ms"]
            parameters.digits = command["digit"]
            call.sendDtmf(parameters)

    def _hang_up(self, command: dict[str, Any]) -> None:
        if self._calls and self._calls[-1].isActive():
            self._calls[-1].hangup(pj.CallOpParam())

    def close_files(self) -> None:
        """Stop and close the recordings, so that their headers are right."""
        if self._sent is None:
            return
        for player in [self._speech, *self._keys]:
            if player is not None:
                player.stopTransmit(self._sent)
        self._sent = self._heard = None  # the library writes the WAV header when a recorder goes
        self._audio = None


def _endpoint_settings(clock_rate_hz: int) -> Any:
    settings = pj.EpConfig()
    settings.uaConfig.threadCnt = 0
    settings.uaConfig.mainThreadOnly = True
    settings.uaConfig.userAgent = "demo phone"
    settings.logConfig.level = settings.logConfig.consoleLevel = _LOG_LEVEL
    settings.medConfig.clockRate = settings.medConfig.sndClockRate = clock_rate_hz
    settings.medConfig.noVad = True
    settings.medConfig.ecTailLen = 0
    return settings


def _account_settings(port: int) -> Any:
    settings = pj.AccountConfig()
    settings.idUri = f"sip:phone@127.0.0.1:{port}"
    settings.mediaConfig.transportConfig.port = 0
    settings.mediaConfig.transportConfig.boundAddress = "127.0.0.1"
    return settings


def _read_lines(lines: queue.SimpleQueue[str | None]) -> None:
    while line := sys.stdin.readline(COMMAND_BYTES_MAX):
        lines.put(line)
    lines.put(None)


def main() -> None:
    """Run one phone; leave without the interpreter's clean-up, which can abort in the library."""
    status = 0
    os.dup2(2, 1)
    try:
        Phone(wideband=sys.argv[1:] == ["G722"]).run()
    except pj.Error as error:
        emit("error", doing="run", reason=error.reason)
        status = 1
    os._exit(status)


if __name__ == "__main__":
    main()

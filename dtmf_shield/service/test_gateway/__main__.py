"""``python -m dtmf_shield.service.test_gateway``: run the TEST gateway until standard input closes.

Prints one line of JSON with its port when it listens. Takes published test card numbers only. SIGHUP makes it read its
certificate again.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
from pathlib import Path

from dtmf_shield.service.dev_certificates import ensure_dev_certificates
from dtmf_shield.service.test_gateway.faults import Fault, FaultPlan, FaultRule
from dtmf_shield.service.test_gateway.server import TestGateway, server_context


async def _run(state_directory: Path, port: int, fault: Fault, client_ca_file: Path | None) -> None:
    files = ensure_dev_certificates(state_directory)
    pair = files.gateway_certificate_file, files.gateway_key_file
    plan = FaultPlan(rules=(FaultRule(fault),) if fault is not Fault.NONE else ())
    gateway = TestGateway(files.gateway_user_file, plan)
    listening = await gateway.start(server_context(*pair, client_ca_file), port)
    print(json.dumps({"event": "listening", "test": True, "port": listening}), flush=True)  # noqa: T201 - the contract
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, gateway.reload, *pair)
    # Where standard input is a plain file or closed, only a signal ends us.
    with contextlib.suppress(OSError, ValueError):
        loop.add_reader(sys.stdin.fileno(), lambda: stop.set() if not os.read(0, 4096) else None)
    await stop.wait()
    await gateway.stop()


def main() -> int:
    """Parse arguments and run."""
    parser = argparse.ArgumentParser(prog="dtmf-shield TEST gateway", description=__doc__)
    parser.add_argument(
        "--state-directory", type=Path, required=True, help="where the development certificates are"
    )
    parser.add_argument("--port", type=int, default=0, help="0: any free port")
    default_fault = os.environ.get("DTMF_SHIELD_TEST_GATEWAY_FAULT", Fault.NONE.value)
    parser.add_argument("--fault", choices=[fault.value for fault in Fault], default=default_fault)
    parser.add_argument(
        "--client-ca-file", type=Path, help="demand a client certificate of this authority (PEM)"
    )
    arguments = parser.parse_args()
    asyncio.run(
        _run(arguments.state_directory, arguments.port, Fault(arguments.fault), arguments.client_ca_file)
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

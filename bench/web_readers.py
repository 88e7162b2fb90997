"""Many readers of an event stream in a process of their own: ``python -m bench.web_readers URL < one header a line``.

Each line of standard input is the header of one more reader; it is connected at once. Says one JSON object a line on
standard output: ``{"open": n, "refused": m}`` after each empty line, once every reader so far has an answer, and
``{"told": k, "at_s": t}`` when the k-th event of type ``payment`` has reached the last of them. Ends with its input.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from urllib.parse import urlsplit

MARK = b"event: payment"
ANSWER_LIMIT_S = 20.0


class Readers:
    """All of them, in one loop."""

    def __init__(self, url: str) -> None:
        place = urlsplit(url)
        self.host, self.port = place.hostname or "", place.port or 80
        self.open = self.refused = self.told = 0
        self.marks: list[int] = []
        self.tasks: set[asyncio.Task[None]] = set()
        self.answered = asyncio.Condition()

    async def read(self, header: str) -> None:
        """Hold one stream."""
        reader, writer = await asyncio.open_connection(self.host, self.port)
        request = f"GET /v1/events HTTP/1.1\r\nHost: {self.host}:{self.port}\r\n{header}\r\n\r\n"
        writer.write(request.encode())
        status = await reader.readline()
        good = status.split()[1:2] == [b"200"]
        async with self.answered:
            self.open, self.refused = self.open + good, self.refused + (not good)
            self.answered.notify_all()
        mine, tail = len(self.marks), b""
        if good:
            self.marks.append(self.told)
        while good and (part := await reader.read(65_536)):
            found = (tail + part).count(MARK)
            tail = (tail + part)[-(len(MARK) - 1) :]
            if found:
                self.marks[mine] += found
                self._tell()
        writer.close()

    def _tell(self) -> None:
        while self.marks and min(self.marks) > self.told:
            self.told += 1
            say(told=self.told, at_s=time.time())

    async def run(self) -> None:
        """Read lines until there are no more."""
        lines = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
        while line := await lines.readline():
            if header := line.strip().decode():
                self.tasks.add(asyncio.create_task(self.read(header)))
                await asyncio.sleep(0)
                continue
            async with self.answered, asyncio.timeout(ANSWER_LIMIT_S):
                await self.answered.wait_for(lambda: self.open + self.refused == len(self.tasks))
            say(open=self.open, refused=self.refused)


def say(**facts: float) -> None:
    """Write one line at once."""
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    asyncio.run(Readers(sys.argv[1]).run())

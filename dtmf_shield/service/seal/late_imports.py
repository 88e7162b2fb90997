"""What Python and the libraries import only when it is first needed: a sealed process must have it all before.

Importing this module is the whole of it. A late import in a sealed process fails: it can open no file.
"""

# ruff: noqa: F401 - loaded for later, used by others
from __future__ import annotations

import _strptime  # type: ignore[import-not-found]  # typeshed leaves it out
import asyncio.sslproto
import concurrent.futures.thread
import email.parser
import encodings.ascii
import encodings.idna
import encodings.latin_1
import encodings.punycode
import encodings.utf_8
import linecache
import stringprep
import tokenize
import traceback
import tracemalloc
import unicodedata
import uuid

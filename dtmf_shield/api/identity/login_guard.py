"""How often somebody may try to sign in: by account and by address, whether the account exists or not. No I/O.

PCI DSS 4.0.1 section 8.3.4: locked after ten attempts at most, for 30 minutes at least. Before that, each wrong
password makes the next try wait longer. Addresses have a wider limit, since an office shares one.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

FREE_ATTEMPTS: Final = 3
"""Wrong passwords in a row that cost nothing: people mistype."""
BACKOFF_FIRST_S: Final = 2.0
"""After the fourth; doubled by each more."""
ATTEMPTS_MAX: Final = 10
"""In a row, then the account is locked (PCI DSS 8.3.4)."""
LOCK_S: Final = 30 * 60.0
"""PCI DSS 8.3.4: 30 minutes at least. An administrator who resets the password ends it sooner."""
ADDRESS_ATTEMPTS_MAX: Final = 60
ADDRESS_WINDOW_S: Final = 600.0
"""So many wrong tries from one address within the window."""
ENTRIES_MAX: Final = 4_096
"""Accounts and addresses remembered, each; the one that failed longest ago is forgotten first."""


@dataclass(slots=True)
class _Failures:
    count: int = 0
    open_s: float = 0.0
    """No try before; monotonic."""
    last_s: float = 0.0
    open_before_s: float = 0.0
    """What ``open_s`` was before the newest try."""


class LoginGuard:
    """Counts failures and says how long to wait. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._accounts: OrderedDict[str, _Failures] = OrderedDict()
        self._addresses: OrderedDict[str, _Failures] = OrderedDict()

    def wait_s(self, account: str, address: str, now_s: float) -> float:
        """Return how long nobody may try this account, or this address any; 0: now."""
        opens_s = [table[key].open_s for table, key in self._places(account, address) if key in table]
        return max(0.0, *(open_s - now_s for open_s in opens_s)) if opens_s else 0.0

    def tried(self, account: str, address: str, now_s: float) -> bool:
        """Count a try as wrong until :meth:`succeeded`, so that tries sent at once do not pass together.

        Returns whether the account is locked by it.
        """
        of_account = _entry(self._accounts, account, now_s, LOCK_S)
        of_account.count += 1
        of_account.open_before_s = of_account.open_s
        locked = of_account.count >= ATTEMPTS_MAX
        if locked:
            of_account.open_s = now_s + LOCK_S
        elif of_account.count > FREE_ATTEMPTS:
            of_account.open_s = now_s + BACKOFF_FIRST_S * 2 ** (of_account.count - FREE_ATTEMPTS - 1)
        of_address = _entry(self._addresses, address, now_s, ADDRESS_WINDOW_S)
        of_address.count += 1
        if of_address.count >= ADDRESS_ATTEMPTS_MAX:
            of_address.open_s = now_s + ADDRESS_WINDOW_S
        return locked and of_account.count == ATTEMPTS_MAX

    def count(self, account: str) -> int:
        """Return how many tries of an account count as wrong."""
        entry = self._accounts.get(account)
        return entry.count if entry is not None else 0

    def take_back(self, account: str, address: str, counted: int) -> None:
        """Count a try neither as wrong nor as right: the password was right, and a code is asked for.

        ``counted``: what :meth:`count` said right after :meth:`tried`. What came in between keeps its wait, and earlier
        failures stay counted, so that a right password alone opens no further guesses at codes.
        """
        of_account, of_address = self._accounts.get(account), self._addresses.get(address)
        if of_account is not None and of_account.count:
            if of_account.count == counted:
                of_account.open_s = of_account.open_before_s
            of_account.count -= 1
        if of_address is not None and of_address.count:
            of_address.count -= 1

    def succeeded(self, account: str, address: str) -> None:
        """Forget the account's failures and this try; others of the address stay."""
        self.forget(account)
        of_address = self._addresses.get(address)
        if of_address is not None and of_address.count:
            of_address.count -= 1

    def forget(self, account: str) -> None:
        """Unlock an account: an administrator has reset its password."""
        self._accounts.pop(account, None)

    def _places(self, account: str, address: str) -> tuple[tuple[OrderedDict[str, _Failures], str], ...]:
        return ((self._accounts, account), (self._addresses, address))


def _entry(table: OrderedDict[str, _Failures], key: str, now_s: float, forget_s: float) -> _Failures:
    """Return the entry of ``key``, fresh where its last failure is older than ``forget_s``."""
    entry = table.get(key)
    if entry is None or now_s - entry.last_s >= forget_s:
        entry = table[key] = _Failures()
    entry.last_s = now_s
    table.move_to_end(key)
    while len(table) > ENTRIES_MAX:
        table.popitem(last=False)
    return entry

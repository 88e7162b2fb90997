"""How often somebody may try to sign in: by account and by address, whether the account exists or not. No I/O.

PCI DSS 4.0.1 section 8.3.4: locked after ten attempts at most, for 30 minutes at least. Before that, each wrong
password makes the next try wait longer. Addresses have a wider limit, since an office shares one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from dtmf_shield.api.limits import counted_as

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
"""So many wrong tries from one address within the window, which begins with the first try; then closed for as long."""
ENTRIES_MAX: Final = 4_096
"""Accounts and addresses remembered, each. More than there can be users, whose entries stay: see :func:`_going`."""


@dataclass(slots=True)
class _Failures:
    count: int = 0
    open_s: float = 0.0
    """No try before; monotonic."""
    began_s: float = 0.0
    last_s: float = 0.0


_Table = OrderedDict[str, _Failures]


@dataclass(frozen=True, slots=True)
class Try:
    """One try on its way. ``locked``: where it turns out wrong, it is the one that locks the account."""

    account: str
    address: str
    locked: bool
    of_account: _Failures
    of_address: _Failures
    counted: int
    """How many tries of the account counted as wrong with this one."""
    before: _Failures
    """What was kept of the account before it."""


def _nobody(_account: str) -> bool:
    return False


class LoginGuard:
    """Counts failures and says how long to wait. Times are monotonic seconds."""

    def __init__(self, known: Callable[[str], bool] = _nobody) -> None:
        """``known``: whether there is an account of that name; fewer than ENTRIES_MAX are."""
        self._known = known
        self._accounts: _Table = OrderedDict()
        self._addresses: _Table = OrderedDict()

    def wait_s(self, account: str, address: str, now_s: float) -> float:
        """Return how long nobody may try this account, or this address any; 0: now."""
        places = ((self._accounts, account), (self._addresses, counted_as(address)))
        return max(0.0, *(table[key].open_s - now_s if key in table else 0.0 for table, key in places))

    def tried(self, account: str, address: str, now_s: float) -> Try:
        """Count a try as wrong until it :meth:`succeeded`, so that tries sent at once do not pass together."""
        address = counted_as(address)
        of_account = self._account(account, now_s)
        before = replace(of_account)
        of_account.count += 1
        of_account.last_s = now_s
        locked = of_account.count >= ATTEMPTS_MAX
        if locked:
            of_account.open_s = now_s + LOCK_S
        elif of_account.count > FREE_ATTEMPTS:
            of_account.open_s = now_s + BACKOFF_FIRST_S * 2 ** (of_account.count - FREE_ATTEMPTS - 1)
        of_address = self._address(address, now_s)
        of_address.count += 1
        if of_address.count >= ADDRESS_ATTEMPTS_MAX:
            of_address.open_s = now_s + ADDRESS_WINDOW_S
        locks = of_account.count == ATTEMPTS_MAX
        return Try(account, address, locks, of_account, of_address, of_account.count, before)

    def take_back(self, tried: Try) -> None:
        """Count a try neither as wrong nor as right: a code is still asked for, or nobody looked at the password.

        What came in between keeps its wait, and earlier failures stay counted, so that a right password alone opens no
        further guesses at codes.
        """
        entry = tried.of_account
        if entry.count == tried.counted:
            entry.open_s, entry.last_s = tried.before.open_s, tried.before.last_s
        _less(self._accounts, tried.account, entry)
        self._spare_address(tried)

    def succeeded(self, tried: Try) -> None:
        """Forget the account's failures and this try; others of the address stay."""
        self.forget(tried.account)
        self._spare_address(tried)

    def forget(self, account: str) -> None:
        """Unlock an account: an administrator has reset its password."""
        self._accounts.pop(account, None)

    def _spare_address(self, tried: Try) -> None:
        entry = tried.of_address
        _less(self._addresses, tried.address, entry)
        if entry.count < ADDRESS_ATTEMPTS_MAX:
            entry.open_s = 0.0  # closed by tries that were not wrong

    def _account(self, account: str, now_s: float) -> _Failures:
        """Return the entry of an account, fresh where its last failure is long ago."""
        entry = self._accounts.get(account)
        if entry is None or now_s - entry.last_s >= LOCK_S:
            entry = _Failures()
        return _kept(self._accounts, account, entry, now_s, self._known)

    def _address(self, address: str, now_s: float) -> _Failures:
        """Return the entry of an address, fresh where its window is over: an office tries all day long."""
        entry = self._addresses.get(address)
        if entry is None or (now_s - entry.began_s >= ADDRESS_WINDOW_S and now_s >= entry.open_s):
            entry = _Failures(began_s=now_s)
        return _kept(self._addresses, address, entry, now_s, _nobody)


def _kept(table: _Table, key: str, entry: _Failures, now_s: float, known: Callable[[str], bool]) -> _Failures:
    """Keep an entry as the one that tried last; where there are too many, another goes."""
    if key not in table and len(table) >= ENTRIES_MAX:
        del table[_going(table, now_s, known)]
    table[key] = entry
    table.move_to_end(key)
    return entry


def _going(table: _Table, now_s: float, known: Callable[[str], bool]) -> str:
    """Return who is forgotten for a newcomer: who tried longest ago of those that are open and no known account.

    A stranger has as many names and addresses as they invent: none of these pushes out the failures of an account that
    there is, nor what is closed. Where all is closed, the wait that ends soonest is ended: so everybody is counted,
    and a full table shuts out nobody.
    """
    for key, entry in table.items():
        if entry.open_s <= now_s and not known(key):
            return key
    strangers = [key for key in table if not known(key)] or list(table)
    return min(strangers, key=lambda key: table[key].open_s)


def _less(table: _Table, key: str, entry: _Failures) -> None:
    """Count one less. ``entry`` may have been forgotten meanwhile, and another stand in its place: that one stays."""
    entry.count = max(0, entry.count - 1)
    if not entry.count and table.get(key) is entry:
        del table[key]

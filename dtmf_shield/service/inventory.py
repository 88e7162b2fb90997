"""Every key, certificate and secret that the configuration and the state directory name, in one list with findings.

PCI DSS 4.2.1.1 and 12.3.3 ask for such a list. It reads what the files say and changes nothing; no key, PIN or password
is shown. Files are found by the names of their keys in the configuration (``*_certificate_file``, ``*key_file`` …), so
that a section added later is in the list as soon as it is in the configuration.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from dtmf_shield.audit.signing import KEY_FILE
from dtmf_shield.base.errors import OperatorError
from dtmf_shield.service import keys
from dtmf_shield.service.certificate_findings import Role, certificate_items, key_item
from dtmf_shield.service.dev_certificates import DIRECTORY, RENEW_DAYS_BEFORE
from dtmf_shield.service.kept_secrets import API_KEY_FILE, CALLER_KEY_FILE

EXPIRES_SOON_DAYS: Final = 30
"""Time to get a certificate from an authority that people run."""
KEK_DAYS_MAX: Final = 366
"""The cryptoperiod that is checked (PCI DSS 3.7.4 asks for one): once a year the KEK is rotated."""
_KEPT_SECRETS: Final = {API_KEY_FILE: "API for programs", CALLER_KEY_FILE: "names callers in the ledger"}
PINS_MIN: Final = 2
"""One pin alone leaves no key to change to."""


@dataclass(slots=True)
class Item:
    """One line. ``days_left`` and ``not_after`` for what expires, ``age_days`` for what is only old."""

    kind: str
    source: str
    path: str = ""
    subject: str = ""
    algorithm: str = ""
    not_after: str = ""
    days_left: int | None = None
    age_days: int | None = None
    mode: str = ""
    findings: list[str] = field(default_factory=list)


def inventory(place: keys.Place) -> list[Item]:
    """Return the list. What cannot be read is an item with a finding."""
    today = datetime.datetime.fromtimestamp(place.clock.wall_s(), datetime.UTC)
    return [*_configured(place, today), *_in_state(place.state, today), *_keys(place, today)]


def _configured(place: keys.Place, today: datetime.datetime) -> Iterator[Item]:
    named = dict(_named_files(place.config, ""))
    for source, value in named.items():
        name = source.rpartition(".")[2]
        if isinstance(value, list):
            few = (
                []
                if len(value) >= PINS_MIN
                else [f"{len(value)} pins; give {PINS_MIN} or more: now and next"]
            )
            yield Item("pins", source, subject=f"{len(value)} pins", findings=few)
            continue
        path = place.base / value
        if name.endswith("certificate_file"):
            role = Role.CLIENT if "client" in name else Role.SIP if source.startswith("sip.") else Role.SERVER
            pair = named.get(source.removesuffix("certificate_file") + "key_file")
            key_path = place.base / pair if isinstance(pair, str) else None
            yield from _items(certificate_items(path, role, today, EXPIRES_SOON_DAYS, key_path), source)
        elif name.endswith("ca_file"):
            yield from _items(certificate_items(path, Role.AUTHORITY, today, EXPIRES_SOON_DAYS), source)
        elif name.endswith("key_file"):
            yield from _items([key_item(path)], source)
        elif name.endswith(("credentials_file", "pin_file", "secret_file")):
            yield _secret(path, source)


def _named_files(section: BaseModel, prefix: str) -> Iterator[tuple[str, str | list[Any]]]:
    for name in type(section).model_fields:
        value = getattr(section, name)
        path = f"{prefix}{name}"
        if isinstance(value, BaseModel):
            yield from _named_files(value, path + ".")
        elif isinstance(value, list | tuple) and value and isinstance(value[0], BaseModel):
            for index, each in enumerate(value):
                yield from _named_files(each, f"{path}[{index}].")
        elif isinstance(value, str) and value and name.endswith("_file"):
            yield path, value
        elif isinstance(value, list | tuple) and value and name.endswith("pins"):
            yield path, list(value)


def _items(found: list[dict[str, Any]], source: str) -> Iterator[Item]:
    for values in found:
        yield Item(source=source, **values)


def _secret(path: Path, source: str) -> Item:
    try:
        mode = path.stat().st_mode & 0o777
    except OSError as error:
        return Item("secret", source, str(path), findings=[f"cannot be read ({error.strerror})"])
    findings = [f"mode {mode:04o}, others may read it; chmod 600 it"] if mode & 0o077 else []
    return Item("secret", source, str(path), mode=f"{mode:04o}", findings=findings)


def _in_state(state: Path, today: datetime.datetime) -> Iterator[Item]:
    for path in sorted((state / DIRECTORY).glob("*.pem")):
        role = Role.AUTHORITY if path.stem == "ca" else Role.SERVER
        yield from _items(
            certificate_items(path, role, today, RENEW_DAYS_BEFORE), "state: TEST gateway, made anew"
        )
    for path in sorted((state / DIRECTORY).glob("*.key")):
        yield from _items([key_item(path)], "state: TEST gateway, made anew")
    if (state / KEY_FILE).exists():
        for item in _items([key_item(state / KEY_FILE)], "state: signs audit roots"):
            item.age_days = _age_days(state / KEY_FILE, today)
            yield item
    for name, purpose in _KEPT_SECRETS.items():
        if (state / name).exists():
            yield _secret(state / name, f"state: {purpose}")


def _age_days(path: Path, today: datetime.datetime) -> int:
    return (today - datetime.datetime.fromtimestamp(path.stat().st_mtime, datetime.UTC)).days


def _keys(place: keys.Place, today: datetime.datetime) -> Iterator[Item]:
    if not keys.has_ledger(place):
        return
    try:
        found = keys.listing(place)
    except OperatorError as error:
        yield Item("KEK", "keys", findings=[str(error)])
        return
    for kek in found["keks"]:
        yield _kek(kek, found["place"], today)
    data = found["data_keys"]
    item = Item("data keys", "ledger", subject=f"{data['count']}, one a day", algorithm="AES-256-GCM")
    if data["count"]:
        item.age_days = (today.date() - datetime.date.fromisoformat(data["first_day"])).days
        item.not_after = data["last_day"]
        item.days_left = (datetime.date.fromisoformat(data["last_day"]) - today.date()).days
        if item.days_left < EXPIRES_SOON_DAYS:
            item.findings.append("their days are nearly over; replace cde: send SIGHUP to dtmf-shield serve")
    yield item


def _kek(kek: dict[str, Any], place: str, today: datetime.datetime) -> Item:
    item = Item("KEK", "active" if kek["active"] else "old", place, kek["id"], "AES-256-GCM")
    if not kek["present"]:
        item.findings.append(
            f"is not there, and {kek['data_keys']} data keys need it; restore it from its backup"
        )
    if made := keys.kek_made(kek["id"]):
        item.age_days = (today.date() - made).days
        if kek["active"] and item.age_days > KEK_DAYS_MAX:
            item.findings.append(f"older than {KEK_DAYS_MAX} days; rotate it: dtmf-shield keys rotate")
    return item

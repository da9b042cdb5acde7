"""Amounts as people write them, to the integers that policies hold. Pure; the CRD has checked the same shapes before.

Money is nano-dollars and time is milliseconds, so that nothing is ever rounded on the way.

A duration is written in one way in each kind of place, and a contract test holds the places to it::

    specs, values of the chart   "1m30s"                    as Kubernetes writes durations; people write it
    documents (JSON files)       timeout_ms: 90000          whole numbers: the same document has the same bytes
    options, environment         --drain-seconds 0.5        the unit is in the name; tests need fractions
    reports, metrics             first_byte_seconds: 0.042  measured, and in Prometheus' base unit
"""

import re
from decimal import Decimal, InvalidOperation
from typing import Final

from agenttype_api import schema
from agenttype_api.v1alpha1 import Resource

NANO: Final = 1_000_000_000
_DURATION: Final = re.compile(schema.DURATION)
_UNITS: Final = {"h": 3_600_000, "m": 60_000, "s": 1000}
_WHOLE: Final = re.compile(r"0|[1-9][0-9]*")


def amount(text: str, resource: Resource) -> int:
    """Return the maximum of a limit: tokens or calls, for Cost nano-dollars, for times milliseconds.

    Raises:
        ValueError: The text is not what the resource wants; the message tells what is.
    """
    if resource is Resource.COST:
        return nano_dollars(text)
    if resource in (Resource.TOOL_TIME, Resource.WALL_CLOCK):
        return milliseconds(text)
    if not _WHOLE.fullmatch(text):
        raise ValueError(f'a maximum of {resource} is a whole number of 0 or more, for example "200000"')
    return int(text)


def nano_dollars(text: str) -> int:
    """Return an amount of dollars in nano-dollars.

    Raises:
        ValueError: It is no plain decimal number of 0 or more with at most nine decimals.
    """
    try:
        dollars = Decimal(text)
    except InvalidOperation as error:
        raise ValueError('an amount of money is a decimal number, for example "25.00"') from error
    nano = dollars * NANO
    if not dollars.is_finite() or dollars < 0 or nano != nano.to_integral_value():
        raise ValueError("an amount of money is 0 or more and has at most nine decimals")
    return int(nano)


def seconds(milliseconds: int) -> float:
    """Return a document's duration as clocks and sockets take it."""
    return milliseconds / 1000


def milliseconds(text: str) -> int:
    """Return a duration such as 1h30m in milliseconds.

    Raises:
        ValueError: It is not written in hours, minutes and seconds.
    """
    found = _DURATION.fullmatch(text)
    if not text or found is None:
        raise ValueError('a duration is written in hours, minutes and seconds, for example "1h30m"')
    return sum(int(part[:-1]) * _UNITS[part[-1]] for part in found.groups() if part)

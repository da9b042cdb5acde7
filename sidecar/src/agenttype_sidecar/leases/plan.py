"""Decides the next step for one account: draw, lease more, or give back. Pure.

What is needed now comes first. Beyond that a pod keeps what it will need in a few seconds at its recent rate, so that
its calls need not wait for the store. It never keeps more than its fair part of half of what is left, so that many pods
can use a limit to its last unit.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Standing:
    """How an account stands for this pod.

    Attributes:
        leased: What this pod alone may draw from.
        drawn: What it may use.
        used: What it has spent and holds.
        free: What no pod has leased; negative where the limit was lowered below what is outstanding.
        holders: How many pods have a part, this one included.
    """

    leased: int
    drawn: int
    used: int
    free: int
    holders: int

    @property
    def remaining(self) -> int:
        """The most that new calls of this pod can use."""
        return max(0, self.leased - self.used) + max(0, self.free)


@dataclass(frozen=True, slots=True)
class Need:
    """What this pod needs of an account.

    Attributes:
        waiting: Amounts that calls wait for, oldest first.
        peak: The most that was used recently.
        ahead: What calls will need within `Times.ahead`; it is drawn before they ask.
        stock: What they will need within `Times.stock`; it is leased before they ask.
        is_idle: Whether no call asked recently.
    """

    waiting: tuple[int, ...] = ()
    peak: int = 0
    ahead: int = 0
    stock: int = 0
    is_idle: bool = False


@dataclass(frozen=True, slots=True)
class Draw:
    """Draw up to this much."""

    to: int


@dataclass(frozen=True, slots=True)
class LeaseMore:
    """Lease `amount` more, and draw up to `to`."""

    amount: int
    to: int


@dataclass(frozen=True, slots=True)
class GiveBack:
    """Give back all beyond this."""

    drawn: int
    leased: int


def fitting(room: int, amounts: Iterable[int]) -> list[int]:
    """Return the positions of the amounts that fit, in order; a small one may pass a large one."""
    found = []
    for position, amount in enumerate(amounts):
        if amount <= room:
            room -= amount
            found.append(position)
    return found


def fair_part(now: Standing) -> int:
    """Return how much one pod may lease ahead of its need."""
    return max(0, now.free + now.leased - now.used) // (2 * max(1, now.holders))


def next_step(now: Standing, wanted: Need) -> Draw | LeaseMore | GiveBack | None:
    """Return the next step, None where none is needed or possible."""
    served = fitting(now.remaining, wanted.waiting)
    if wanted.waiting and not served:
        # The small remainders of many pods may together be enough for one of them.
        return GiveBack(now.used, now.used) if now.leased > now.used else None
    need = now.used + sum(wanted.waiting[position] for position in served)
    part = fair_part(now)
    ahead = min(wanted.ahead, part)
    stock = max(ahead, min(wanted.stock, part))
    if now.drawn < need <= now.leased:
        return Draw(min(now.leased, need + ahead))
    low = need + ahead // 2
    if now.leased < max(need, low) and now.free > 0:
        return LeaseMore(min(now.free, need + stock - now.leased), need + ahead)
    if now.drawn < min(low, now.leased):
        return Draw(min(now.leased, need + ahead))
    return _surplus(now, wanted, ahead, stock) if not wanted.waiting else None


def _surplus(now: Standing, wanted: Need, ahead: int, stock: int) -> GiveBack | None:
    """Return what to give back: at once if the limit was lowered, all of it if idle, else only a large surplus."""
    if now.free < 0:
        return GiveBack(now.used, now.used) if now.leased > now.used else None
    used = max(now.used, wanted.peak)
    surplus = now.leased - (used + stock)
    if surplus > 0 and (wanted.is_idle or surplus * 2 >= now.leased - now.used):
        return GiveBack(used + ahead, used + stock)
    return None

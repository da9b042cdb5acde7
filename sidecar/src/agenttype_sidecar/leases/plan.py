"""What to do next about one account: draw, lease more, or give back. Pure.

What is needed now comes first. Beyond that a pod keeps what it will need in a few seconds at its recent pace, so that
its calls need not wait for the store; never more than a fair part of half of what is left, so that many pods can use a
limit to its last unit.
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
        free: What nobody has leased; negative where the limit was lowered below what is out.
        holders: How many pods have a part, this one included.
    """

    leased: int
    drawn: int
    used: int
    free: int
    holders: int

    @property
    def remaining(self) -> int:
        """What new calls of this pod can have at most."""
        return max(0, self.leased - self.used) + max(0, self.free)


@dataclass(frozen=True, slots=True)
class Need:
    """What this pod wants of an account.

    Attributes:
        waiting: Amounts that calls wait for, oldest first.
        peak: The most that was used lately.
        ahead: What calls will need within a moment: it is drawn before they ask.
        stock: What they will need in a longer moment: it is leased before they ask.
        is_idle: Whether nobody asked lately.
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
    """Lease so much more, and draw up to `to`."""

    amount: int
    to: int


@dataclass(frozen=True, slots=True)
class Give:
    """Keep only so much."""

    drawn: int
    leased: int


def fitting(room: int, amounts: Iterable[int]) -> list[int]:
    """Return the positions of the amounts that fit, first come first served; a small one may pass a large one."""
    found = []
    for position, amount in enumerate(amounts):
        if amount <= room:
            room -= amount
            found.append(position)
    return found


def fair_part(now: Standing) -> int:
    """Return how much one pod may take ahead of its need."""
    return max(0, now.free + now.leased - now.used) // (2 * max(1, now.holders))


def next_step(now: Standing, wanted: Need) -> Draw | LeaseMore | Give | None:
    """Return what to do, None where all is well or nothing can be done."""
    served = fitting(now.remaining, wanted.waiting)
    if wanted.waiting and not served:
        # The scraps that many pods have left may together be enough for one of them.
        return Give(now.used, now.used) if now.leased > now.used else None
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


def _surplus(now: Standing, wanted: Need, ahead: int, stock: int) -> Give | None:
    """Return what to give back: at once where the limit was lowered, all of it when idle, else only much at a time."""
    if now.free < 0:
        return Give(now.used, now.used) if now.leased > now.used else None
    used = max(now.used, wanted.peak)
    surplus = now.leased - (used + stock)
    if surplus > 0 and (wanted.is_idle or surplus * 2 >= now.leased - now.used):
        return Give(used + ahead, used + stock)
    return None

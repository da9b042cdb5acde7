"""Many sidecars of one agent under one shared budget, each with a caller that calls until the budget is spent.

with fleet(tmp_path, policy_for, 50) as cars:
    cars.start_calling()
    cars.kill(3)
    cars.revive(3)             # the same ledger, as a restarted container has it
    cars.finish_calling()
    assert cars.answered == upstream's count
"""

import contextlib
import http.client
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Self

from agenttype_api import policy as api
from agenttype_api.v1alpha1 import Resource, Scope, Window
from agenttype_sidecar.budget.ledger import Ledger

from support.programs.sidecars import Sidecar, a_policy, sidecar
from support.waiting import until

#: Between two calls of a caller, in seconds.
_PAUSE = 0.15


def a_shared_limit(maximum: int, name: str = "calls", resource: Resource = Resource.REQUESTS) -> api.Limit:
    """A limit that all pods of green share for ever."""
    account = f"team-a.agent.green.{name}"
    shared = {"window": Window.FOREVER, "scope": Scope.AGENT_TYPE, "account": account}
    return api.Limit(name=name, resource=resource, max=maximum, **shared)


def a_sharing_policy(url: str, store: str, limit: api.Limit) -> api.Policy:
    """The policy of a pod whose only limit is shared through the store."""
    return a_policy(url, limits=(limit,), nats=api.Nats(url=store))


class Member:
    """One sidecar, its folder, and its caller."""

    def __init__(self, folder: Path, policy: api.Policy) -> None:
        self.folder = folder
        self.answered = 0
        self.cut_off = 0
        self.told_to_wait = 0
        self.car: Sidecar | None = None
        self._policy = policy
        self._running: sidecar | None = None
        self._is_gone = threading.Event()

    def start(self) -> None:
        self.folder.mkdir(exist_ok=True)
        self._running = sidecar(policy=self._policy, folder=self.folder)
        self.car = self._running.__enter__()

    def kill(self) -> None:
        """Kill -9; its ledger stays."""
        self._running.__exit__(None, None, None)
        self._running = None
        self.car = None

    def give_up(self) -> None:
        """Let the caller end: the sidecar will not come back."""
        self._is_gone.set()

    def stop(self) -> None:
        if self._running is not None:
            self._running.__exit__(None, None, None)

    def call_until_spent(self) -> None:
        while not self._is_gone.is_set():
            try:
                if self.car is not None and self._call(self.car):
                    return
            except (OSError, http.client.HTTPException):
                self.cut_off += 1
            time.sleep(_PAUSE)

    def _call(self, car: Sidecar) -> bool:
        """Make one call; return whether the budget is spent."""
        answer = car.chat(max_tokens=2)
        self.answered += answer.status == 200
        self.told_to_wait += answer.status == 503
        return answer.headers.get("x-agenttype-reason") == "insufficient_quota"

    def books(self) -> int:
        """What its ledger says it spent of shared limits, now that the process is dead."""
        return self._read(lambda ledger: sum(ledger.balances.spent_in(key).requests for key, _ in ledger.all_drawn()))

    def holder(self) -> str:
        """What its records in the store are called."""
        return self._read(lambda ledger: ledger.holder)

    def _read(self, what: Callable[[Ledger], Any]) -> Any:
        ledger = Ledger(self.folder / "ledger")
        try:
            return what(ledger)
        finally:
            ledger.close()


class fleet(AbstractContextManager):  # noqa: N801 — used like a function
    """So many sidecars; `policy_for` says under which policy each runs."""

    def __init__(self, folder: Path, policy_for: Callable[[int], api.Policy], amount: int) -> None:
        self.members = [Member(folder / f"pod-{number}", policy_for(number)) for number in range(amount)]
        self._threads = [threading.Thread(target=member.call_until_spent) for member in self.members]
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        for member in self.members:
            self._stack.callback(member.stop)
        try:
            with ThreadPoolExecutor(4) as starters:
                list(starters.map(Member.start, self.members))
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for member in self.members:
            member.give_up()
        self._stack.close()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    @property
    def answered(self) -> int:
        return sum(member.answered for member in self.members)

    @property
    def told_to_wait(self) -> int:
        return sum(member.told_to_wait for member in self.members)

    @property
    def cut_off(self) -> int:
        return sum(member.cut_off for member in self.members)

    @property
    def overspent(self) -> float:
        """What the living say was spent beyond a limit."""
        return sum(member.car.total("agenttype_budget_overspend_total") for member in self.members if member.car)

    def start_calling(self) -> None:
        for thread in self._threads:
            thread.start()

    def finish_calling(self) -> None:
        for thread in self._threads:
            thread.join()

    def answered_more_than(self, calls: int) -> None:
        """Wait until so many calls were answered."""
        until(lambda: self.answered > calls, lambda: f"{self.answered} of more than {calls} calls")

    def pause(self, member: Member) -> None:
        member.car.process.send_signal(signal.SIGSTOP)

    def resume(self, member: Member) -> None:
        member.car.process.send_signal(signal.SIGCONT)

    def end(self) -> None:
        """Send SIGTERM to all and wait: what they did not use goes back."""
        living = [member for member in self.members if member.car is not None]
        for member in living:
            member.car.process.terminate()
        for member in living:
            assert member.car.process.wait(timeout=30) == 0, member.car.log

"""Limits, as an agent's own budget and a shared one write them; and AgentBudget, the shared one."""

from enum import StrEnum
from typing import Annotated, ClassVar, Final, Literal

from pydantic import ConfigDict, Field, JsonValue

from agenttype_api.schema import DURATION, Conditions, Metadata, Model, Name, Text, cel


class Resource(StrEnum):
    """What a limit counts."""

    TOKENS = "Tokens"
    INPUT_TOKENS = "InputTokens"
    OUTPUT_TOKENS = "OutputTokens"
    COST = "Cost"
    REQUESTS = "Requests"
    TOOL_CALLS = "ToolCalls"
    TOOL_TIME = "ToolTime"
    WALL_CLOCK = "WallClock"


class Window(StrEnum):
    """How long a limit counts before it starts again; all but Run and Forever are aligned to the clock, in UTC."""

    RUN = "Run"
    MINUTE = "Minute"
    HOUR = "Hour"
    DAY = "Day"
    MONTH = "Month"
    FOREVER = "Forever"


class Scope(StrEnum):
    """Who shares a limit."""

    POD = "Pod"
    AGENT_TYPE = "AgentType"
    NAMESPACE = "Namespace"
    """All agent types that refer to the AgentBudget; it is not written, it follows from the kind."""


#: What fits into 64 bits, wherever it is counted.
_WHOLE = "'^(0|[1-9][0-9]{0,17})$'"
_MONEY = "'^(0|[1-9][0-9]{0,8})([.][0-9]{1,9})?$'"
_RULES: Final[list[JsonValue]] = [
    cel(
        f"!(self.resource in ['Tokens', 'InputTokens', 'OutputTokens', 'Requests', 'ToolCalls']) || "
        f"self.max.matches({_WHOLE})",
        'max must be a whole number of 0 or more with at most 18 digits, as a string, for example "200000"; for no '
        "limit leave the limit out",
    ),
    cel(
        f"self.resource != 'Cost' || self.max.matches({_MONEY})",
        'max of Cost must be dollars, 0 or more with at most nine decimals, as a string, for example "25.00"',
    ),
    cel(
        f"!(self.resource in ['ToolTime', 'WallClock']) || (self.max != '' && self.max.matches('{DURATION}'))",
        'max of ToolTime and WallClock must be a duration, for example "45s" or "1h30m"',
    ),
    cel(
        "self.resource != 'WallClock' || self.window == 'Run'",
        "WallClock counts the life of a pod: its window must be Run",
    ),
]


class LimitSpec(Model):
    """One bound that is held before a call is sent."""

    model_config = ConfigDict(json_schema_extra={"x-cel": _RULES})

    name: Name = Field(description="Name of the limit in answers, metrics and the control API.")
    resource: Resource = Field(
        description="What is counted. Tokens, InputTokens, OutputTokens, Requests: of calls to models. Cost: what "
        "those calls cost at the backend's prices. ToolCalls, ToolTime: calls to tools, and how long they take, "
        "added up. WallClock: the life of the pod."
    )
    max: Annotated[str, Field(min_length=1, max_length=20)] = Field(
        description="The most that may be spent, as a string: a whole number of tokens or calls, dollars for Cost, a "
        "duration such as 1h30m for ToolTime and WallClock. 0 allows nothing."
    )
    window: Window = Field(
        default=Window.RUN,
        description="Run: the life of the pod, restarts of containers included. Minute, Hour, Day, Month: by the "
        "clock, in UTC. Forever: never starts again.",
    )


class ScopedLimitSpec(LimitSpec):
    """One bound of an agent, of each of its pods or of all of them together."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-cel": [
                *_RULES,
                cel(
                    "self.scope == 'Pod' || self.window != 'Run'",
                    "a run is the life of one pod: with window Run the scope must be Pod",
                ),
            ]
        }
    )

    scope: Literal[Scope.POD, Scope.AGENT_TYPE] = Field(
        default=Scope.POD,
        description="Pod: every pod of the agent has the limit for itself. AgentType: its pods share it.",
    )


class AgentBudgetSpec(Model):
    """What all agent types together that refer to it may spend."""

    description: Text = Field(default="", description="What the budget is for, in a sentence.")
    limits: Annotated[
        list[LimitSpec],
        Field(
            min_length=1,
            max_length=16,
            json_schema_extra={
                "x-map-keys": ["name"],
                "x-cel": [
                    cel(
                        "self.all(l, l.window != 'Run')",
                        "a run is the life of one pod; a shared budget needs a window of Minute, Hour, Day, Month or "
                        "Forever",
                    )
                ],
            },
        ),
    ] = Field(description="Limits that all apply; the tightest decides.")


class AgentBudgetStatus(Model):
    """What the operator saw."""

    observed_generation: int = Field(default=0, description="Generation of the spec that this describes.")
    agent_types: int = Field(default=0, description="Agent types that share the budget.")
    conditions: Conditions = Field(default=[], description="Accepted, and Ready which sums it up.")


class AgentBudget(Model):
    """A budget that several agent types of a namespace share."""

    plural: ClassVar[str] = "agentbudgets"
    api_version: Literal["agenttype.dev/v1alpha1"] = "agenttype.dev/v1alpha1"
    kind: Literal["AgentBudget"] = "AgentBudget"
    metadata: Metadata
    spec: AgentBudgetSpec = Field(description="What the user wants.")
    status: AgentBudgetStatus = Field(default=AgentBudgetStatus(), description="What the operator saw.")

"""What a run used, from the sidecar's metrics."""

from agenttype_cli import control, report
from agenttype_cli.report import Report

METRICS = """# HELP agenttype_llm_requests_total LLM calls
agenttype_llm_requests_total{model="m",adapter="",protocol="OpenAI",outcome="ok",code="200"} 3.0
agenttype_llm_requests_total{model="m",adapter="",protocol="OpenAI",outcome="refused",code="402"} 1.0
agenttype_llm_requests_total{model="n",adapter="",protocol="OpenAI",outcome="ok",code="200"} 2.0
agenttype_llm_tokens_total{model="m",adapter="",direction="input",usage_source="provider"} 10.0
agenttype_llm_tokens_total{model="m",adapter="",direction="output",usage_source="reserved"} 7.0
agenttype_llm_cost_nanousd_total{model="m",adapter="",usage_source="provider"} 1.5e+06
agenttype_refusals_total{reason="insufficient_quota"} 1.0
agenttype_violations_total{rule="no \\"keys\\"",action="Deny",applied_to="LLMRequest"} 2.0
process_open_fds 9.0
"""


def usage():
    return report.usage(control.samples(METRICS))


def test_calls_are_added_up_over_models():
    assert usage()["requests"] == {"ok": 5, "refused": 1}


def test_tokens_that_no_backend_confirmed_are_told_apart():
    assert (usage()["tokens"], usage()["estimated_tokens"]) == ({"input": 10, "output": 7}, 7)


def test_costs_are_decimal_dollars():
    assert [report.dollars(nano) for nano in (0, 1_500_000, 2_000_000_000)] == ["0", "0.0015", "2"]
    assert usage()["cost_dollars"] == "0.0015"


def test_a_report_for_people_shows_amounts_in_their_units():
    rows = [
        {"name": "day", "resource": "Cost", "spent": 1_500_000, "limit": 25_000_000_000},
        {"name": "run", "resource": "WallClock", "spent": 1500, "limit": 60_000},
    ]
    text = Report("team/green", ["x"], 0, 1.5, "abc", budget=rows, **usage()).as_text()

    assert "day: $0.0015 of $25 spent" in text
    assert "run: 1.5 of 60 s spent" in text
    assert "refusals      1 insufficient_quota" in text


def test_a_report_for_programs_has_json_names():
    found = Report("team/green", ["x"], 3, 1.5, "abc").as_json()

    assert (found["exitStatus"], found["policyHash"], found["costDollars"]) == (3, "abc", "0")

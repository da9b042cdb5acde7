from agenttype_sidecar.telemetry.counters import PlainCounter, PlainHistogram
from prometheus_client import CollectorRegistry, generate_latest


def test_what_is_added_under_one_set_of_labels_is_summed_up():
    registry = CollectorRegistry()
    tokens = PlainCounter("tokens", "Tokens.", ("model", "direction"), registry)
    tokens.add(("small", "input"), 3)
    tokens.add(("small", "input"), 4)
    tokens.add(("small", "output"))
    assert generate_latest(registry).decode().splitlines() == [
        "# HELP tokens_total Tokens.",
        "# TYPE tokens_total counter",
        'tokens_total{direction="input",model="small"} 7.0',
        'tokens_total{direction="output",model="small"} 1.0',
    ]


def test_a_bucket_holds_what_is_as_long_as_its_bound_and_all_that_is_shorter():
    registry = CollectorRegistry()
    seconds = PlainHistogram("seconds", "Seconds.", ("model",), (0.5, 1), registry)
    seconds.observe(("small",), 0.25)
    seconds.observe(("small",), 0.5)
    seconds.observe(("small",), 1)
    seconds.observe(("small",), 9)
    assert generate_latest(registry).decode().splitlines() == [
        "# HELP seconds Seconds.",
        "# TYPE seconds histogram",
        'seconds_bucket{le="0.5",model="small"} 2.0',
        'seconds_bucket{le="1.0",model="small"} 3.0',
        'seconds_bucket{le="+Inf",model="small"} 4.0',
        'seconds_count{model="small"} 4.0',
        'seconds_sum{model="small"} 10.75',
    ]

from agenttype_sidecar.telemetry.activity import Activity


def test_calls_that_run_at_once_count_once():
    activity = Activity(100.0)
    activity.begin(101.0)
    activity.begin(102.0)
    activity.end(103.0)
    activity.end(105.0)
    activity.begin(108.0)
    assert (activity.busy(110.0), activity.wall(110.0), activity.utilization(110.0)) == (6.0, 10.0, 0.6)


def test_a_sidecar_that_has_just_begun_is_not_busy():
    assert Activity(100.0).utilization(100.0) == 0.0

"""The settings with which the NATS server starts."""

from agenttype_operator.auth_callout import server_config


def test_the_server_asks_about_everything_but_the_auth_callout_and_writes_through():
    text = server_config.server_config("ISSUER", "KEEPER", "/data")

    assert "auth_callout { issuer: ISSUER, account: AGENTTYPE, auth_users: [ KEEPER ] }" in text
    assert "sync_interval: always" in text
    assert "http: 127.0.0.1:" in text

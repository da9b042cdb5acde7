"""The NATS server's settings: pure."""

from agenttype_bus import subjects


def server_config(issuer: str, callout: str, data: str, port: int = 4222, monitor: int = 8222) -> str:
    """Return the settings file.

    The server asks about every connection but the auth callout's. Writes are on disk before they are acknowledged: its
    own default syncs every two minutes, and a counter that went back in a power cut would be money spent twice.
    One entry of an account names all that gave something back, 22 bytes each: a message has room for tens of thousands.

    Args:
        issuer: public key with which answers about connections are signed.
        callout: public key by which the auth callout itself connects.
        data: folder of the volume.
        port: where clients connect.
        monitor: where the server tells about itself, on loopback only.
    """
    account = subjects.SERVER_ACCOUNT
    return f"""\
server_name: nats
listen: 0.0.0.0:{port}
http: 127.0.0.1:{monitor}
max_payload: 1048576
jetstream {{ store_dir: "{data}", sync_interval: always }}
accounts {{
  {account} {{ jetstream: enabled, users: [ {{ nkey: {callout} }} ] }}
  SYS {{}}
}}
system_account: SYS
authorization {{
  timeout: 5
  auth_callout {{ issuer: {issuer}, account: {account}, auth_users: [ {callout} ] }}
}}
"""

"""The keys of NATS, with which its server and the auth callout know each other."""

from typing import TypeAlias

import nkeys

KeyPair: TypeAlias = nkeys.KeyPair


def account_key(entropy: bytes) -> KeyPair:
    """Make the key pair of an account from 32 random bytes: it signs what connections may do."""
    return _key(nkeys.PREFIX_BYTE_ACCOUNT, entropy)


def user_key(entropy: bytes) -> KeyPair:
    """Make the key pair of a user from 32 random bytes: it proves who connects."""
    return _key(nkeys.PREFIX_BYTE_USER, entropy)


def from_seed(seed: bytes) -> KeyPair:
    """Return the key pair of a seed."""
    return nkeys.from_seed(bytearray(seed))


def public(keys: KeyPair) -> str:
    """Return the public half of a key pair, as it stands in settings."""
    return str(bytes(keys.public_key).decode())


def _key(kind: int, entropy: bytes) -> KeyPair:
    return from_seed(nkeys.encode_seed(entropy, kind))

"""Verifies tokens with PyJWT, given nothing but the issuer's URL: prints the claims of each, or why it is refused."""

import json
import sys
import urllib.request

import jwt

issuer, *tokens = sys.argv[1:]
with urllib.request.urlopen(f"{issuer}/.well-known/openid-configuration") as answer:
    metadata = json.load(answer)
assert metadata["issuer"] == issuer
keys = jwt.PyJWKClient(metadata["jwks_uri"])


def verify(token):
    try:
        return jwt.decode(
            token,
            keys.get_signing_key_from_jwt(token),
            algorithms=metadata["id_token_signing_alg_values_supported"],
            issuer=issuer,
            audience=issuer,
            options={"require": ["iss", "sub", "aud", "exp", "iat", "nbf", "jti"]},
        )
    except jwt.InvalidTokenError as error:
        return {"refused": type(error).__name__}


print(json.dumps([verify(token) for token in tokens]))

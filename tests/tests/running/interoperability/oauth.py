"""Refreshes, introspects and revokes with Authlib, given the issuer's URL, a refresh token and a client's credentials."""

import json
import sys

import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session

issuer, refresh_token, client_id, client_secret = sys.argv[1:]
metadata = requests.get(f"{issuer}/.well-known/oauth-authorization-server").json()
shop = OAuth2Session("shop", token_endpoint_auth_method="none", revocation_endpoint_auth_method="none")


def introspect(method, secret, token, hint):
    resource_server = OAuth2Session(client_id, secret, token_endpoint_auth_method=method)
    endpoint = metadata["introspection_endpoint"]
    return resource_server.introspect_token(endpoint, token=token, token_type_hint=hint)


def refresh(token):
    try:
        return shop.refresh_token(metadata["token_endpoint"], refresh_token=token)
    except OAuthError as error:
        return {"error": error.error}


tokens = refresh(refresh_token)
access, successor = tokens["access_token"], tokens["refresh_token"]
basic, post = metadata["introspection_endpoint_auth_methods_supported"]
report = {
    "tokens": tokens,
    "basic": introspect(basic, client_secret, access, "access_token").json(),
    "post": introspect(post, client_secret, access, "access_token").json(),
    "refresh_token": introspect(basic, client_secret, successor, "refresh_token").json(),
    "wrong_secret": introspect(basic, "wrong", access, "access_token").status_code,
}
revoked = shop.revoke_token(metadata["revocation_endpoint"], token=successor, token_type_hint="refresh_token")
report["revoked"] = revoked.status_code
report["afterwards"] = introspect(basic, client_secret, access, "access_token").json()
report["refused"] = refresh(successor)
print(json.dumps(report))

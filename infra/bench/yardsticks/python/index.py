"""The same protected handler as its users would write it for Python, with PyJWT; and one that reads an item besides."""

import json
import os

import jwt

ISSUER = os.environ["ISSUER"]
KEY = jwt.algorithms.RSAAlgorithm(jwt.algorithms.RSAAlgorithm.SHA256).prepare_key(os.environ["PUBLIC_KEY"])


def authenticate(event):
    scheme, _, token = event["headers"].get("authorization", "").partition(" ")
    if scheme != "Bearer":
        raise jwt.InvalidTokenError("no token")
    return jwt.decode(token, KEY, algorithms=["RS256"], issuer=ISSUER, audience=ISSUER)


def answer(status, body):
    return {"statusCode": status, "headers": {"content-type": "application/json"}, "body": json.dumps(body)}


def verify(event, _context):
    try:
        claims = authenticate(event)
    except jwt.InvalidTokenError:
        return answer(401, {"title": "A valid access token is required"})
    return answer(200, {"user_id": claims["sub"], "username": claims["username"]})


if os.environ.get("_HANDLER") == "index.item":
    import boto3

    TABLE = boto3.resource("dynamodb").Table(os.environ["USER_TABLE"])


def item(event, _context):
    try:
        claims = authenticate(event)
    except jwt.InvalidTokenError:
        return answer(401, {"title": "A valid access token is required"})
    found = TABLE.get_item(Key={"pk": f"USER#{claims['sub']}", "sk": "PROFILE"}).get("Item")
    return answer(200, found) if found else answer(404, {"title": "No such profile"})

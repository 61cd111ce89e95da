# SPDX-License-Identifier: Apache-2.0
"""Authlib's authorization server on Flask, with client credentials and JWT access tokens (RFC 9068).

For gunicorn; ALG, CLIENT_ID and CLIENT_SECRET come from the environment.
"""

import os

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import ClientMixin, grants
from authlib.oauth2.rfc9068 import JWTBearerTokenGenerator
from flask import Flask
from joserfc.jwk import ECKey, KeySet, RSAKey

ALG = os.environ["ALG"]
PARAMETERS = {"alg": ALG, "use": "sig", "kid": "one"}
KEYS = KeySet([RSAKey.generate_key(2048, PARAMETERS) if ALG == "RS256" else ECKey.generate_key("P-256", PARAMETERS)])


class Client(ClientMixin):
    client_id = os.environ["CLIENT_ID"]

    def get_client_id(self):
        return self.client_id

    def get_default_redirect_uri(self):
        return None

    def get_allowed_scope(self, scope):
        return scope if scope == "catalog" else ""

    def check_client_secret(self, client_secret):
        return client_secret == os.environ["CLIENT_SECRET"]

    def check_endpoint_auth_method(self, method, endpoint):
        return method == "client_secret_basic"

    def check_grant_type(self, grant_type):
        return grant_type == "client_credentials"


class Tokens(JWTBearerTokenGenerator):
    def get_jwks(self):
        return KEYS

    def get_audiences(self, client, user, scope):
        return "https://catalog.example"


CLIENT = Client()
app = Flask(__name__)
server = AuthorizationServer(
    app,
    query_client=lambda client_id: CLIENT if client_id == CLIENT.client_id else None,
    save_token=lambda token, request: None,
)
server.register_grant(grants.ClientCredentialsGrant)
server.register_token_generator("default", Tokens(issuer="https://tokens.example", alg=ALG))


@app.post("/token")
def token():
    return server.create_token_response()

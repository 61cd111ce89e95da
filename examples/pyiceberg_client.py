#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Lists the namespaces of a catalog with PyIceberg, using a token from Tokenberg.

    pip install pyiceberg
    export TOKENBERG_CATALOG_URI=http://127.0.0.1:8181
    export TOKENBERG_CLIENT_ID=spark TOKENBERG_CLIENT_SECRET=...        # from `tokenberg client add spark`
    python pyiceberg_client.py

If the token endpoint is not part of the catalog, set TOKENBERG_TOKEN_URL as well: http://127.0.0.1:8183/v1/oauth/tokens
"""

import os

from pyiceberg.catalog.rest import RestCatalog

uri = os.environ["TOKENBERG_CATALOG_URI"].rstrip("/")
client_id, client_secret = os.environ["TOKENBERG_CLIENT_ID"], os.environ["TOKENBERG_CLIENT_SECRET"]

# Set the token endpoint, even if it is the default ({uri}/v1/oauth/tokens): then the secret is sent nowhere else.
token_url = os.environ.get("TOKENBERG_TOKEN_URL", uri + "/v1/oauth/tokens")

# PyIceberg's first way: `credential` is ID:SECRET, sent in the body of the token request with the scope `catalog`.
# PyIceberg requests a new token when the catalog answers 401.
catalog = RestCatalog("lake", **{"uri": uri, "credential": f"{client_id}:{client_secret}", "oauth2-server-uri": token_url})
print("credential:", catalog.list_namespaces())

# PyIceberg's newer way: an auth manager. It sends the secret in the Authorization header, and requests a new token one
# minute before the old one expires. Without a `scope` here it requests none, and the client's default scope is granted.
oauth2 = {"client_id": client_id, "client_secret": client_secret, "token_url": token_url}
catalog = RestCatalog("lake", **{"uri": uri, "auth": {"type": "oauth2", "oauth2": oauth2}})
print("auth.type=oauth2:", catalog.list_namespaces())

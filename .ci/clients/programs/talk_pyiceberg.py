# SPDX-License-Identifier: Apache-2.0
"""PyIceberg in the conversation of ../talk.py. A setting `auth.NAME` goes to the `oauth2` auth manager."""

from conversation import converse
from pyiceberg.catalog.rest import RestCatalog


def open_catalog(settings):
    manager = {name[len("auth."):]: value for name, value in settings.items() if name.startswith("auth.")}
    properties = {name: value for name, value in settings.items() if not name.startswith("auth.")}
    if manager:
        properties["auth"] = {"type": "oauth2", "oauth2": manager}
    return RestCatalog("tokenberg", **properties)


def namespaces(catalog):
    return {"namespaces": [".".join(name) for name in catalog.list_namespaces()]}


def whoami(catalog):
    response = catalog._session.get(catalog.uri.rstrip("/") + "/v1/whoami")
    response.raise_for_status()
    return response.json()


converse(open_catalog, {"list": namespaces, "whoami": whoami})

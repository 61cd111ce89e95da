# SPDX-License-Identifier: Apache-2.0
"""The token call of Apache Polaris' generated SDK, in the conversation of ../talk.py.

Its models are strict: an answer that is not exactly the specification's does not become an OAuthTokenResponse.
"""

import warnings

from apache_polaris.sdk.catalog import ApiClient, Configuration, IcebergOAuth2API
from conversation import converse

warnings.simplefilter("ignore", DeprecationWarning)  # it is the deprecated route that is tested


def get_token(settings):
    host = settings.pop("host")
    answer = IcebergOAuth2API(ApiClient(Configuration(host=host))).get_token(**settings)
    return answer.model_dump(mode="json")


converse(get_token, {"show": lambda answer: answer})

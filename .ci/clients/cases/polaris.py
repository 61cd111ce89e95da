# SPDX-License-Identifier: Apache-2.0
"""Apache Polaris: the generated SDK, whose models are strict, and the command line."""

import subprocess

import tools
from asking import ACCESS_TOKEN, EXCHANGE
from report import expect
from talk import client_environment
from wire import claims

PROGRAM = tools.HERE / "programs" / "talk_polaris.py"


def missing():
    return tools.python_missing()


def cases(world, clients):
    yield "polaris_sdk_client_credentials", lambda: _client_credentials(world, clients)
    yield "polaris_sdk_empty_parameters", lambda: _empty_parameters(world, clients)
    yield "polaris_sdk_exchange_own_token", lambda: _exchange_own(world, clients)
    yield "polaris_sdk_exchange_nine_parameters", lambda: _exchange_nine(world, clients)
    yield "polaris_sdk_wrong_secret", lambda: _wrong_secret(world, clients)
    yield "polaris_cli_first_token", lambda: _cli(world, clients)
    yield "polaris_cli_wrong_secret", lambda: _cli_wrong_secret(world, clients)


def _get_token(world, **parameters):
    """The SDK's answer: an OAuthTokenResponse that its strict models accepted, or an error."""
    with world.watched() as wire:
        with world.talk([tools.PYTHON, PROGRAM], {"host": wire.token_server, **parameters}) as talk:
            return talk.opened if "error" in talk.opened else talk.ask("show")


def _minted(answer):
    expect("error" not in answer, f"{answer.get('error')}: {answer.get('message')}")
    types = answer["token_type"], answer["issued_token_type"]
    expect(types == ("bearer", ACCESS_TOKEN), f"its types are {types}")
    return answer["access_token"]


def _client_credentials(world, clients):
    _minted(_get_token(world, grant_type="client_credentials", **_identity(clients.steady), scope="catalog"))


def _empty_parameters(world, clients):
    empty = dict.fromkeys(("scope", "subject_token", "actor_token"), "")
    _minted(_get_token(world, grant_type="client_credentials", **_identity(clients.steady), **empty))


def _exchange_own(world, clients):
    own = _minted(_get_token(world, grant_type="client_credentials", **_identity(clients.steady)))
    exchanged = _minted(_get_token(
        world, grant_type=EXCHANGE, **_identity(clients.steady), subject_token=own, subject_token_type=ACCESS_TOKEN))
    expect(claims(exchanged)["sub"] == claims(own)["sub"], "the subject has changed")


def _exchange_nine(world, clients):
    """All nine parameters of the specification at once: alice's token for her, with the service as the actor."""
    subject = _minted(_get_token(world, grant_type="client_credentials", **_identity(clients.alice)))
    actor = _minted(_get_token(world, grant_type="client_credentials", **_identity(clients.service)))
    exchanged = claims(_minted(_get_token(
        world,
        grant_type=EXCHANGE,
        scope="catalog",
        **_identity(clients.service),
        requested_token_type=ACCESS_TOKEN,
        subject_token=subject,
        subject_token_type=ACCESS_TOKEN,
        actor_token=actor,
        actor_token_type=ACCESS_TOKEN,
    )))
    expect(exchanged["sub"] == claims(subject)["sub"], "it is not alice's token")
    expect(exchanged["act"]["sub"] == claims(actor)["sub"], "the actor is not the service")


def _wrong_secret(world, clients):
    answer = _get_token(world, grant_type="client_credentials", **_identity(clients.mistyped))
    expect(answer.get("error") == "UnauthorizedException", f"{answer}")
    expect("invalid_client" in answer["message"], answer["message"])


def _identity(client):
    return {"client_id": client.id, "client_secret": client.secret}


def _cli(world, clients):
    """It asks below /api/catalog. Then it lists Polaris' own catalogs, which we are not: 404 is past authentication."""
    said, wire_story = _run_cli(world, clients, clients.steady)
    expect("Failed to get access token" not in said, f"{said}; {wire_story}")
    expect("NotFoundException" in said or "(404)" in said, f"expected the 404 of another API: {said}; {wire_story}")
    expect("/api/catalog/v1/oauth/tokens client_credentials, no Authorization -> 200" in wire_story, wire_story)


def _cli_wrong_secret(world, clients):
    said, wire_story = _run_cli(world, clients, clients.mistyped)
    expect("Failed to get access token: invalid_client - " in said, f"{said}; {wire_story}")


def _run_cli(world, clients, client):
    if not clients.below_api_catalog:
        arguments = ("serve", "--base-path", "/api/catalog", "--issuer", world.token_server)
        clients.below_api_catalog = world.serve("tokenberg", *arguments)
    with world.watched(token_server=clients.below_api_catalog) as wire:
        done = subprocess.run(
            [tools.VENV / "bin" / "polaris", "--base-url", wire.token_server, "catalogs", "list"],
            env=client_environment(CLIENT_ID=client.id, CLIENT_SECRET=client.secret, HOME=str(world.directory)),
            capture_output=True,
            text=True,
            timeout=60,
        )
        return done.stdout + done.stderr, wire.story()

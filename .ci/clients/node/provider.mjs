// SPDX-License-Identifier: Apache-2.0
// An independent OpenID provider, in the conversation of ../talk.py: it serves discovery and keys on loopback,
// and signs what a user gets who logs in with the authorization code flow. Its keys change and it goes down on command.

import { createServer } from 'node:http';
import { generateKeyPairSync } from 'node:crypto';
import * as openid from 'openid-client';
import Provider from 'oidc-provider';
import { converse } from './conversation.mjs';

const REDIRECT = 'http://127.0.0.1:9/callback'; // no program listens there; the code is read from the address
const GROUPS = { alice: ['analysts', 'staff'] };

const server = createServer((request, response) => handle(request, response));
let issuer;
let keys = [newKey('first')];
let handle; // what serves now
let fetched = {}; // how often each path was asked for, by whom ever

function newKey(kid) {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { ...privateKey.export({ format: 'jwk' }), kid, use: 'sig', alg: 'ES256' };
}

const RSA = {
  ...generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' }),
  kid: 'rsa',
  use: 'sig',
};

/** A provider knows its clients and keys when it is made, so it is made anew for each question. */
function serveWith({ audience = 'absent', alg = 'ES256', lifetime = 600, resource } = {}) {
  const provider = new Provider(issuer, {
    jwks: { keys: [...keys, RSA] },
    clients: [
      {
        client_id: audience,
        client_secret: 'the-secret-of-a-client-of-the-provider',
        redirect_uris: [REDIRECT],
        application_type: 'native',
        grant_types: ['authorization_code'],
        response_types: ['code'],
        id_token_signed_response_alg: alg,
      },
    ],
    scopes: ['openid'],
    claims: { openid: ['sub', 'groups'] },
    conformIdTokenClaims: false,
    ttl: { IdToken: lifetime, AccessToken: lifetime, Grant: 60, Interaction: 60, Session: 60 },
    findAccount: (_, accountId) => ({
      accountId,
      claims: () => ({ sub: accountId, ...(GROUPS[accountId] && { groups: GROUPS[accountId] }) }),
    }),
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
    loadExistingGrant: async ({ oidc }) => {
      const grant = new provider.Grant({ accountId: oidc.session.accountId, clientId: oidc.client.clientId });
      grant.addOIDCScope('openid');
      if (resource) grant.addResourceScope(resource, 'catalog');
      await grant.save();
      return grant;
    },
    features: {
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: () => ({
          scope: 'catalog',
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg } },
          accessTokenTTL: lifetime,
        }),
      },
    },
  });
  const callback = provider.callback();
  handle = async (request, response) => {
    const { pathname } = new URL(request.url, issuer);
    if (pathname.startsWith('/interaction/')) {
      // Who the user says he is, he is.
      const { params } = await provider.interactionDetails(request, response);
      const yes = { login: { accountId: params.login_hint }, consent: {} };
      await provider.interactionFinished(request, response, yes);
      return;
    }
    if (!request.headers['user-agent']?.startsWith('openid-client/')) {
      fetched[pathname] = (fetched[pathname] ?? 0) + 1;
    }
    callback(request, response);
  };
}

/** Logs `subject` in at the client `audience`, as a browser and that client would together. `nonce` marks an id_token. */
async function logIn({ subject, audience, resource, nonce = true, ...terms }) {
  serveWith({ audience, resource, ...terms });
  const config = await openid.discovery(
    new URL(issuer), audience, { id_token_signed_response_alg: terms.alg ?? 'ES256' },
    openid.ClientSecretBasic('the-secret-of-a-client-of-the-provider'), { execute: [openid.allowInsecureRequests] },
  );
  const pkceCodeVerifier = openid.randomPKCECodeVerifier();
  const expectedNonce = nonce ? openid.randomNonce() : undefined;
  const authorization = openid.buildAuthorizationUrl(config, {
    redirect_uri: REDIRECT,
    scope: resource ? 'openid catalog' : 'openid',
    login_hint: subject,
    ...(nonce && { nonce: expectedNonce }),
    code_challenge: await openid.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
    ...(resource && { resource }),
  });
  const callback = await followAsBrowser(authorization);
  const tokens = await openid.authorizationCodeGrant(
    config, callback, { pkceCodeVerifier, expectedNonce }, resource && { resource });
  serveWith();
  return tokens;
}

async function followAsBrowser(address) {
  const cookies = new Map();
  for (let hops = 0; !address.href.startsWith(REDIRECT); hops += 1) {
    if (hops > 9) throw new Error(`redirected again and again, at last to ${address.pathname}`);
    const response = await fetch(address, {
      redirect: 'manual',
      headers: {
        cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; '),
        'user-agent': 'openid-client/browser',
      },
    });
    const location = response.headers.get('location');
    if (!location) throw new Error(`${address.pathname}: ${response.status} ${await response.text()}`);
    for (const cookie of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(cookie);
      cookies.set(name, value);
    }
    address = new URL(location, address);
  }
  return address;
}

function listen(port) {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
}

await converse(
  async () => {
    await listen(0);
    issuer = `http://127.0.0.1:${server.address().port}`;
    serveWith();
    return { issuer };
  },
  {
    id_token: async (terms) => ({ token: (await logIn(terms)).id_token }),
    access_token: async (terms) => ({ token: (await logIn(terms)).access_token }),

    /** The first of `kids` signs. Keys that are not named any more are forgotten. */
    keys: ({ kids }) => {
      keys = kids.map((kid) => keys.find((key) => key.kid === kid) ?? newKey(kid));
      serveWith();
    },
    fetched: () => fetched,
    down: () =>
      new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      }),
    up: () => listen(new URL(issuer).port),
  },
);

// SPDX-License-Identifier: Apache-2.0
// openid-client, which wraps oauth4webapi, in the conversation of ../talk.py. Both are strict about what comes back.

import { readFileSync } from 'node:fs';
import { request as overTls } from 'node:https';
import { importJWK, SignJWT } from 'jose';
import * as oauth from 'oauth4webapi';
import * as openid from 'openid-client';
import { converse, settings } from './conversation.mjs';

const METHODS = {
  client_secret_basic: () => openid.ClientSecretBasic(settings.client_secret),
  client_secret_post: () => openid.ClientSecretPost(settings.client_secret),
  private_key_jwt: async () => {
    const { kid, alg, ...jwk } = JSON.parse(readFileSync(settings.key));
    return openid.PrivateKeyJwt({ kid, key: await importJWK(jwk, alg) });
  },
  client_secret_jwt: () => openid.ClientSecretJwt(settings.client_secret),
  tls_client_auth: () => openid.TlsClientAuth(),
  spiffe_jwt: jwtSvid, // which openid-client does not know
  none: () => openid.None(),
};

const insecure = { [oauth.allowInsecureRequests]: true };
const fetching = { [oauth.customFetch]: noted };
const answered = []; // the status of every answer so far
let config;
let authenticate;
let proof; // the DPoP handle of this process' key

await converse(
  async () => {
    authenticate = await METHODS[settings.method]();
    config = await openid.discovery(
      new URL(settings.server),
      settings.client_id,
      { use_mtls_endpoint_aliases: settings.method === 'tls_client_auth' },
      authenticate,
      {
        algorithm: settings.discovery ?? 'oauth2',
        execute: [openid.allowInsecureRequests],
        [openid.customFetch]: noted,
      },
    );
    proof = await newProof();
    return { metadata: config.serverMetadata() };
  },
  {
    token: ({ dpop, ...parameters }) => openid.clientCredentialsGrant(config, parameters, proven(dpop)),
    grant: ({ dpop, grant_type: type, ...parameters }) =>
      openid.genericGrantRequest(config, type, new URLSearchParams(parameters), proven(dpop)),
    introspect: ({ token }) => openid.tokenIntrospection(config, token),
    revoke: ({ token }) => openid.tokenRevocation(config, token),
    validate: async ({ token, audience, dpop }) =>
      oauth.validateJwtAccessToken(
        config.serverMetadata(), await wouldSend(token, dpop), audience, { ...insecure, ...fetching }),
    /** One request to a resource, with the token in it. */
    get: async ({ token, url, dpop }) => {
      const response = await openid.fetchProtectedResource(
        config, token, new URL(url), 'GET', undefined, undefined, proven(dpop));
      return { status: response.status, body: await response.json() };
    },
    /** Another key from now on. */
    new_key: async ({ alg }) => {
      proof = await newProof(alg);
    },
    answered: () => ({ statuses: answered }),
    /** What it would put into the body and the header of a request. */
    authentication: async () => {
      const [form, headers] = [new URLSearchParams(), new Headers()];
      await authenticate(config.serverMetadata(), config.clientMetadata(), form, headers);
      return { form: Object.fromEntries(form), authorization: headers.get('authorization') };
    },
  },
);

/** draft-ietf-oauth-spiffe-client-auth: a JWT-SVID, as a workload gets it from its agent, which this process is as well. */
async function jwtSvid() {
  const { kid, alg, ...jwk } = JSON.parse(readFileSync(settings.key));
  const svid = await new SignJWT()
    .setProtectedHeader({ alg, kid, typ: 'JWT' })
    .setSubject(settings.spiffe_id)
    .setAudience(settings.server)
    .setExpirationTime('5m')
    .sign(await importJWK(jwk, alg));
  return (_, __, body) => {
    body.set('client_assertion_type', 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe');
    body.set('client_assertion', svid);
  };
}

async function newProof(alg = 'ES256') {
  return openid.getDPoPHandle(config, await openid.randomDPoPKeyPair(alg));
}

function proven(dpop) {
  return dpop ? { DPoP: proof } : undefined;
}

/** The request that a resource server would get. */
async function wouldSend(token, dpop) {
  let sent;
  await oauth.protectedResourceRequest(token, 'GET', new URL('/v1/namespaces', settings.server), undefined, undefined, {
    ...insecure,
    ...proven(dpop),
    [oauth.customFetch]: async (url, options) => {
      sent = new Request(url, options);
      return new Response();
    },
  });
  return sent;
}

async function noted(url, options) {
  const response = await (settings.ca ? fetchOverTls : fetch)(url, options);
  answered.push(response.status);
  return response;
}

/** `fetch` with a certificate of our own, which node's cannot have. */
function fetchOverTls(url, { body, headers, method }) {
  const read = (name) => settings[name] && readFileSync(settings[name]);
  return new Promise((resolve, reject) => {
    const request = overTls(
      url,
      { method, headers: Object.fromEntries(new Headers(headers)), ca: read('ca'), cert: read('cert'), key: read('cert_key') },
      async (answer) => {
        const chunks = [];
        for await (const chunk of answer) chunks.push(chunk);
        resolve(new Response(Buffer.concat(chunks), { status: answer.statusCode, headers: answer.headers }));
      },
    );
    request.on('error', reject);
    request.end(body?.toString());
  });
}

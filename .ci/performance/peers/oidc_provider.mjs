// SPDX-License-Identifier: Apache-2.0
// node's oidc-provider with client credentials and JWT access tokens, everything else as it comes.
//   node oidc_provider.mjs PORT ALG CLIENT SECRET [CERTIFICATE KEY]
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import Provider from 'oidc-provider';

const [port, alg, client_id, client_secret, certificate, key] = process.argv.slice(2);
const pair = alg === 'RS256' ? generateKeyPairSync('rsa', { modulusLength: 2048 }) : generateKeyPairSync('ec', { namedCurve: 'P-256' });
const issuer = `${certificate ? 'https' : 'http'}://127.0.0.1:${port}`;
const resource = 'https://catalog.example';

const provider = new Provider(issuer, {
  clients: [{
    client_id,
    client_secret,
    grant_types: ['client_credentials'],
    response_types: [],
    redirect_uris: [],
    token_endpoint_auth_method: 'client_secret_basic',
    id_token_signed_response_alg: alg,
  }],
  jwks: { keys: [{ ...pair.privateKey.export({ format: 'jwk' }), use: 'sig', alg, kid: 'one' }] },
  scopes: ['catalog'],
  enabledJWA: { idTokenSigningAlgValues: [alg] },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => resource,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: 'catalog',
        audience: resource,
        accessTokenTTL: 3600,
        accessTokenFormat: 'jwt',
        jwt: { sign: { alg, kid: 'one' } },
      }),
    },
  },
});
const tls = certificate && { cert: readFileSync(certificate), key: readFileSync(key) };
const server = tls ? https.createServer(tls, provider.callback()) : http.createServer(provider.callback());
server.listen(Number(port), '127.0.0.1', () => console.log(`listening on ${issuer}`));

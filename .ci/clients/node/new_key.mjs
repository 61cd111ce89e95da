// SPDX-License-Identifier: Apache-2.0
// Prints a new key pair for each algorithm that is named in the arguments: {ALGORITHM: {private: JWK, public: JWK}}.

import { exportJWK, generateKeyPair } from 'jose';

const keys = {};
for (const alg of process.argv.slice(2)) {
  const pair = await generateKeyPair(alg, { extractable: true });
  const named = { kid: `key-${alg}`, alg, use: 'sig' };
  keys[alg] = {
    private: { ...(await exportJWK(pair.privateKey)), ...named },
    public: { ...(await exportJWK(pair.publicKey)), ...named },
  };
}
console.log(JSON.stringify(keys));

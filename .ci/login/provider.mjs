// An OpenID provider on this machine, with one public client for a command line.

import { createServer } from "node:http";
import { generateKeyPairSync } from "node:crypto";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const require = createRequire(join(process.env.PACKAGES, "node_modules/"));
const { default: Provider } = await import(pathToFileURL(require.resolve("oidc-provider")));

/** Starts the provider; a person who signs in as NAME is NAME, and in the group analysts. */
export async function started(clientId) {
    const server = createServer();
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    const issuer = `http://127.0.0.1:${server.address().port}`;
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const provider = new Provider(issuer, {
        jwks: { keys: [{ ...privateKey.export({ format: "jwk" }), kid: "k1", use: "sig", alg: "RS256" }] },
        clients: [{
            client_id: clientId,
            token_endpoint_auth_method: "none",
            application_type: "native",
            redirect_uris: ["http://127.0.0.1/callback"],
            grant_types: ["authorization_code", "urn:ietf:params:oauth:grant-type:device_code"],
            response_types: ["code"],
        }],
        claims: { openid: ["sub"], email: ["email"], groups: ["groups"] },
        conformIdTokenClaims: false,
        ttl: { IdToken: 600, AccessToken: 600, Grant: 600, Interaction: 600, Session: 600, DeviceCode: 600 },
        findAccount: (_, accountId) => ({
            accountId,
            claims: () => ({ sub: accountId, email: `${accountId}@example.com`, groups: ["analysts"] }),
        }),
        features: { deviceFlow: { enabled: true } },
    });
    server.on("request", provider.callback());
    return { issuer, close: () => server.close() };
}

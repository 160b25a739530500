// Verifies tokens with jose, given nothing but the issuer's URL: prints the claims of each, or why it is refused.

import { createRemoteJWKSet, errors, jwtVerify } from "jose";

const [issuer, ...tokens] = process.argv.slice(1);
const metadata = await (await fetch(`${issuer}/.well-known/oauth-authorization-server`)).json();
if (metadata.issuer !== issuer) throw new Error(`the metadata is ${metadata.issuer}'s`);
const keys = createRemoteJWKSet(new URL(metadata.jwks_uri));

async function verify(token) {
  try {
    const { payload } = await jwtVerify(token, keys, {
      issuer,
      audience: issuer,
      typ: "at+jwt",
      algorithms: metadata.id_token_signing_alg_values_supported,
      requiredClaims: ["sub", "exp", "iat", "nbf", "jti", "client_id"],
    });
    return payload;
  } catch (error) {
    if (error instanceof errors.JOSEError) return { refused: error.code };
    throw error;
  }
}

console.log(JSON.stringify(await Promise.all(tokens.map(verify))));

// Refreshes, introspects and revokes with openid-client, given the issuer's URL, a refresh token and a client's credentials.

import * as client from "openid-client";

const [issuer, refreshToken, clientId, clientSecret] = process.argv.slice(1);
const options = { algorithm: "oauth2", execute: [client.allowInsecureRequests] };
const discover = (id, auth) => client.discovery(new URL(issuer), id, undefined, auth, options);
const shop = await discover("shop", client.None());

const introspect = async (auth, token, hint) => {
  const resourceServer = await discover(clientId, auth);
  return client.tokenIntrospection(resourceServer, token, { token_type_hint: hint });
};
const refresh = async (token) => {
  try {
    return await client.refreshTokenGrant(shop, token);
  } catch (error) {
    return { error: error.error ?? String(error) };
  }
};

const tokens = await refresh(refreshToken);
const { access_token: access, refresh_token: successor } = tokens;
const [basic, post, wrong] = [
  client.ClientSecretBasic(clientSecret),
  client.ClientSecretPost(clientSecret),
  client.ClientSecretBasic("wrong"),
];
const report = {
  tokens,
  basic: await introspect(basic, access, "access_token"),
  post: await introspect(post, access, "access_token"),
  refresh_token: await introspect(basic, successor, "refresh_token"),
  wrong_secret: await introspect(wrong, access, "access_token").catch((error) => error.status),
};
await client.tokenRevocation(shop, successor, { token_type_hint: "refresh_token" });
report.revoked = 200; // Any other status throws.
report.afterwards = await introspect(basic, access, "access_token");
report.refused = await refresh(successor);
console.log(JSON.stringify(report));

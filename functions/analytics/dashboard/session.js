// Who is signed in. The tokens are in memory only: closing or reloading the page forgets them.

const ROOT = new URL("../", document.baseURI);

/** What a service refused, in its own words where it has some. */
export class Refusal extends Error {
  constructor(status, problem) {
    const words = [problem?.title, problem?.detail].filter((text) => typeof text === "string");
    super(words.join(": ") || `The server answered ${status}`);
    this.status = status;
    this.type = problem?.type ?? "";
  }
}

async function refusal(response) {
  const problem = await response.json().catch(() => null);
  return new Refusal(response.status, problem);
}

async function post(path, body, token) {
  const headers = {};
  if (body) headers["content-type"] = "application/json";
  if (token) headers.authorization = `Bearer ${token}`;
  const response = await fetch(new URL(path, ROOT), {
    method: "POST",
    headers,
    body: body && JSON.stringify(body),
    credentials: "omit",
  });
  if (!response.ok) throw await refusal(response);
  return response.status === 204 ? null : response.json();
}

let tokens = null;
let refreshing = null;

/** Signs in; a second factor is a code of six digits or a recovery code. */
export async function signIn(username, password, code) {
  const body = { username };
  if (password) body.password = password;
  const digits = code.replaceAll(" ", "");
  if (/^\d{6}$/.test(digits)) body.otp = digits;
  else if (code) body.recovery_code = code;
  tokens = await post("login", body);
}

/** Ends the session here and, if the service can be reached, there. */
export async function signOut() {
  const token = tokens?.access_token;
  tokens = null;
  if (token) await post("logout", null, token).catch(() => {});
}

// Of several requests with one expired token the first renews it: each refresh token is good once.
async function refresh(expired) {
  if (tokens?.access_token !== expired) return;
  refreshing ??= post("refresh", { refresh_token: tokens.refresh_token }).finally(() => (refreshing = null));
  tokens = await refreshing;
}

/** GETs what only an admin may see. */
export async function get(path, query, { accept = "application/json", signal } = {}) {
  const url = new URL(path, ROOT);
  for (const [name, value] of Object.entries(query)) if (value) url.searchParams.set(name, value);
  let token;
  const ask = () => {
    if (!tokens) throw new Refusal(401, { title: "Nobody is signed in" });
    token = tokens.access_token;
    const headers = { accept, authorization: `Bearer ${token}` };
    return fetch(url, { headers, signal, credentials: "omit", cache: "no-store" });
  };
  let response = await ask();
  if (response.status === 401) {
    await refresh(token);
    response = await ask();
  }
  if (!response.ok) throw await refusal(response);
  return response;
}

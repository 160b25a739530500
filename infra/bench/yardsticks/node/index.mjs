// The same protected handler as its users would write it for Node.js, with jose; and one that reads an item besides.
import { importSPKI, jwtVerify } from "jose";

const issuer = process.env.ISSUER;
const key = await importSPKI(process.env.PUBLIC_KEY, "RS256");

async function authenticate(event) {
  const [scheme, token] = (event.headers.authorization ?? "").split(" ");
  if (scheme !== "Bearer") throw new Error("no token");
  const { payload } = await jwtVerify(token, key, { issuer, audience: issuer, algorithms: ["RS256"] });
  return payload;
}

const json = (statusCode, body) => ({
  statusCode,
  headers: { "content-type": "application/json" },
  body: JSON.stringify(body),
});

export async function verify(event) {
  try {
    const claims = await authenticate(event);
    return json(200, { user_id: claims.sub, username: claims.username });
  } catch {
    return json(401, { title: "A valid access token is required" });
  }
}

let client, GetCommand;
if (process.env._HANDLER === "index.item") {
  const { DynamoDBClient } = await import("@aws-sdk/client-dynamodb");
  const document = await import("@aws-sdk/lib-dynamodb");
  client = document.DynamoDBDocumentClient.from(new DynamoDBClient({}));
  GetCommand = document.GetCommand;
}

export async function item(event) {
  try {
    const claims = await authenticate(event);
    const Key = { pk: `USER#${claims.sub}`, sk: "PROFILE" };
    const { Item } = await client.send(new GetCommand({ TableName: process.env.USER_TABLE, Key }));
    return Item ? json(200, Item) : json(404, { title: "No such profile" });
  } catch (error) {
    console.error(error);
    return json(401, { title: "A valid access token is required" });
  }
}

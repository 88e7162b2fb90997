// A certified OpenID provider (npm oidc-provider, MIT) on loopback, for the tests: anybody signs in under any name, and
// the name decides the claims. Prints its port. Arguments: module file, redirect URI, client secret.
import { createServer } from "node:http";
import { pathToFileURL } from "node:url";

const [, , module, redirect, secret] = process.argv;
const { default: Provider } = await import(pathToFileURL(module));
const GROUPS = { ada: ["staff", "card-agents"], eve: ["staff"], root: ["card-admins", "card-agents"] };

const server = createServer();
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [{ client_id: "dtmf-shield", client_secret: secret, redirect_uris: [redirect],
      grant_types: ["authorization_code"], response_types: ["code"], application_type: "native" }],
    pkce: { required: () => true },
    claims: { openid: ["sub"], profile: ["preferred_username", "groups", "extension"] },
    conformIdTokenClaims: false,
    features: { devInteractions: { enabled: true } },
    findAccount: (_context, id) => ({
      accountId: id,
      claims: () => ({ sub: id, preferred_username: id, groups: GROUPS[id] ?? [], extension: `desk-${id}` }),
    }),
  });
  server.on("request", provider.callback());
  console.log(server.address().port);
});

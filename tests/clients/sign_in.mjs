// The client's half of signing in by OAuth: what it stores, and where the browser comes back to. The other half is a
// person; the address that they must open is printed as {"open": ...}.
import { createServer } from "node:http";
import { once } from "node:events";
import { randomUUID } from "node:crypto";

/** A provider for either SDK. `clientId`: registered by hand; without it the client registers itself. */
export class SignIn {
  static async listening({ scope, clientId, clientMetadataUrl } = {}) {
    const listener = createServer();
    listener.listen(0, "127.0.0.1");
    await once(listener, "listening");
    return new SignIn(listener, { scope, clientId, clientMetadataUrl });
  }

  constructor(listener, { scope, clientId, clientMetadataUrl }) {
    this.listener = listener;
    this.scope = scope;
    this.clientMetadataUrl = clientMetadataUrl;
    this.redirectUrl = `http://127.0.0.1:${listener.address().port}/callback`;
    this.client = clientId && { client_id: clientId };
    this.sent = randomUUID();
    this.asked = 0;
    this.callback = new Promise((resolve) => listener.on("request", (request, response) => this.#answer(request, response, resolve)));
    this.visit = new Promise((resolve) => listener.on("request", ({ url }) => url === "/again" && resolve()));
  }

  get clientMetadata() {
    return {
      client_name: "Postrider's client test",
      redirect_uris: [this.redirectUrl],
      grant_types: ["authorization_code", "refresh_token"],
      response_types: ["code"],
      token_endpoint_auth_method: "none",
      scope: this.scope,
    };
  }

  state() {
    return this.sent;
  }

  clientInformation() {
    return this.client;
  }

  saveClientInformation(client) {
    this.client = client;
  }

  tokens() {
    return this.kept;
  }

  saveTokens(tokens) {
    this.kept = tokens;
  }

  invalidateCredentials(which) {
    if (which === "all" || which === "tokens") this.kept = undefined;
  }

  codeVerifier() {
    return this.verifier;
  }

  saveCodeVerifier(verifier) {
    this.verifier = verifier;
  }

  redirectToAuthorization(address) {
    this.asked += 1;
    this.#open(address.href);
  }

  /** Shows a page to the person, and waits until they are back: at /again. */
  async away(address) {
    this.#open(address);
    await this.visit;
  }

  /** The parameters that the browser brought back. Rejects a foreign state. */
  async returned() {
    const parameters = await this.callback;
    if (parameters.get("state") !== this.sent) throw new Error("the browser came back with a foreign state");
    return parameters;
  }

  close() {
    this.listener.close();
    this.listener.closeAllConnections();
  }

  #open(address) {
    process.stdout.write(`${JSON.stringify({ open: address })}\n`);
  }

  #answer(request, response, resolve) {
    const address = new URL(request.url, this.redirectUrl);
    const known = ["/callback", "/again"].includes(address.pathname);
    response.writeHead(known ? 200 : 404, { "Content-Type": "text/plain" });
    response.end(known ? "You may close this page." : "Nothing here.");
    if (address.pathname === "/callback") resolve(address.searchParams);
  }
}

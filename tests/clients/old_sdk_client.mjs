// The client of the old TypeScript SDK, which knows revisions up to 2025-11-25.
import { UnauthorizedError } from "@modelcontextprotocol/sdk/client/auth.js";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { converse } from "./conversation.mjs";

/** Over stdio the SDK keeps the negotiated revision to itself, but tells it to a transport that asks. */
class ToldStdioTransport extends StdioClientTransport {
  setProtocolVersion(revision) {
    this.protocolVersion = revision;
  }
}

await converse({
  newClient: () => new Client({ name: "old-sdk-client", version: "1" }),
  overHttp: (url, options) => new StreamableHTTPClientTransport(url, options),
  overStdio: ({ command, args, env }) => new ToldStdioTransport({ command, args, env }),
  UnauthorizedError,
  finish: (transport, parameters) => transport.finishAuth(parameters.get("code")),
  era: (client, transport) => transport.protocolVersion,
});

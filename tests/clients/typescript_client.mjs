// The TypeScript client. Besides what a conversation takes, its task names the `mode` of version negotiation.
import { Client, StreamableHTTPClientTransport, UnauthorizedError } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { converse } from "./conversation.mjs";

await converse({
  newClient: ({ mode }) => new Client({ name: "typescript-client", version: "1" }, { versionNegotiation: { mode } }),
  overHttp: (url, options) => new StreamableHTTPClientTransport(url, options),
  overStdio: ({ command, args, env }) => new StdioClientTransport({ command, args, env }),
  UnauthorizedError,
  finish: (transport, parameters) => transport.finishAuth(parameters),
  era: (client) => client.getNegotiatedProtocolVersion(),
});

// One conversation with a server, the same for every client: who are you, what can you do, do this. The task comes as
// JSON in the first argument; what was learnt is the last line of stdout.
import { SignIn } from "./sign_in.mjs";

/**
 * task: {url, headers | oauth} or {command, args, env}, with {tool, arguments}, and what the client itself understands.
 * With oauth, `revoking` is a page where the person revokes the client before it calls again.
 * sdk: {newClient, overHttp(url, options), overStdio(server), UnauthorizedError, finish(transport, parameters), era(client, transport)}.
 */
export async function converse(sdk) {
  const task = JSON.parse(process.argv[2]);
  const signIn = task.oauth && (await SignIn.listening(task.oauth));
  try {
    const { client, transport } = await connected(sdk, task, signIn);
    const { tools } = await client.listTools();
    const result = await client.callTool({ name: task.tool, arguments: task.arguments });
    const { resources } = await client.listResources();
    const learnt = {
      server: client.getServerVersion(),
      capabilities: client.getServerCapabilities(),
      era: sdk.era(client, transport),
      tools: tools.map((tool) => tool.name),
      result,
      resources: resources.map((resource) => resource.uri),
      signIns: signIn?.asked ?? 0,
      granted: signIn?.kept?.scope,
    };
    if (task.revoking) {
      await signIn.away(task.revoking);
      learnt.refused = await refusedSoon(sdk, () => client.callTool({ name: "list_campaigns", arguments: {} }));
    }
    await client.close();
    process.stdout.write(`${JSON.stringify(learnt)}\n`);
  } finally {
    signIn?.close();
  }
}

/** Whether a call is refused within the second that a revocation may take. */
async function refusedSoon(sdk, call) {
  const end = performance.now() + 1000;
  for (;;) {
    const late = performance.now() > end;
    try {
      await call();
    } catch (error) {
      if (!(error instanceof sdk.UnauthorizedError)) throw error;
      return true;
    }
    if (late) return false;
  }
}

async function connected(sdk, task, signIn) {
  const open = () => (task.url ? sdk.overHttp(new URL(task.url), httpOptions(task, signIn)) : sdk.overStdio(task));
  const [client, transport] = [sdk.newClient(task), open()];
  try {
    await client.connect(transport);
    return { client, transport };
  } catch (error) {
    if (!signIn || !(error instanceof sdk.UnauthorizedError)) throw error;
    await sdk.finish(transport, await signIn.returned());
  }
  const again = { client: sdk.newClient(task), transport: open() };
  await again.client.connect(again.transport);
  return again;
}

function httpOptions(task, signIn) {
  return { requestInit: { headers: task.headers ?? {} }, authProvider: signIn };
}

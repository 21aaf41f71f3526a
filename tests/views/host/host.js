// A host of MCP Apps, as small as one can be: the extension's own bridge, and a frame of another origin.
import { AppBridge, PostMessageTransport } from "@modelcontextprotocol/ext-apps/app-bridge";

const seen = { calls: [], messages: [], sizes: [], errors: [], initialized: false };
let bridge = null;

function deferred() {
  let resolve;
  const promise = new Promise((done) => { resolve = done; });
  return { promise, resolve };
}

// Shows the document at `url`, and passes in what a call of `tool` gave. `replies`: what tools answer to the view.
async function mount({ url, tool, input, result, context, capabilities, replies }) {
  Object.assign(seen, { calls: [], messages: [], sizes: [], errors: [], initialized: false });
  const frame = document.createElement("iframe");
  frame.title = "View";
  frame.setAttribute("sandbox", "allow-scripts allow-same-origin allow-forms");
  document.querySelector("main").replaceChildren(frame);
  const ready = deferred();
  bridge = new AppBridge(null, { name: "test-host", version: "1.0.0" }, capabilities, {
    hostContext: { toolInfo: { tool: { name: tool, inputSchema: { type: "object" } } }, ...context },
  });
  bridge.onerror = (error) => seen.errors.push(String(error));
  bridge.oninitialized = () => ready.resolve();
  bridge.onsizechange = ({ height }) => {
    seen.sizes.push(height);
    frame.style.height = `${height}px`;
  };
  bridge.onmessage = async (params) => {
    seen.messages.push(params);
    return {};
  };
  bridge.oncalltool = async (params) => {
    seen.calls.push(params);
    const reply = replies[params.name];
    if (!reply) throw new Error(`The host does not allow ${params.name}.`);
    return reply;
  };
  await bridge.connect(new PostMessageTransport(frame.contentWindow, frame.contentWindow));
  frame.src = url;
  await ready.promise;
  seen.initialized = true;
  await bridge.sendToolInput({ arguments: input });
  await bridge.sendToolResult(result);
}

window.host = { seen, mount, change: (context) => bridge.sendHostContextChange(context), end: () => bridge.teardownResource({}),
  again: (result) => bridge.sendToolResult(result) };

// Whatever a frame shouts: scripts that should not run are written to do so.
window.shouts = [];
window.addEventListener("message", ({ data }) => {
  if (typeof data === "string") window.shouts.push(data);
});

// The conversation with the host: JSON-RPC 2.0 over postMessage, as MCP Apps 2026-01-26 has it. Only the window that
// holds this one is listened to.

const PROTOCOL_VERSION = "2026-01-26";
const PATIENCE_MS = 60_000;

const host = { capabilities: {}, tool: "", input: {} };
const answers = new Map();
let lastId = 0;

function post(message) {
  window.parent.postMessage({ jsonrpc: "2.0", ...message }, "*");
}

function ask(method, params) {
  const id = ++lastId;
  post({ id, method, params });
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => settle(id, { error: { message: "The host did not answer." } }), PATIENCE_MS);
    answers.set(id, { resolve, reject, timer });
  });
}

function settle(id, message) {
  const waiting = answers.get(id);
  if (!waiting) return;
  answers.delete(id);
  clearTimeout(waiting.timer);
  if (message.error) waiting.reject(new Error(text(message.error.message) || "The host refused."));
  else waiting.resolve(object(message.result));
}

// Calls a tool of this server through the host, which may refuse. Gives its structured result.
async function callTool(name, args) {
  if (!host.capabilities.serverTools) throw new Error("This host does not let a view call tools.");
  const result = await ask("tools/call", { name, arguments: args });
  if (result.isError) throw new Error(saidIn(result) || "The tool failed.");
  return object(result.structuredContent);
}

// Puts words into the chat, as the person's own. The host may ask the person first; nothing is sent to a lead by it.
async function say(words) {
  const result = await ask("ui/message", { role: "user", content: [{ type: "text", text: words }] });
  if (result.isError) throw new Error("The host did not take the message.");
}

function canSay() {
  return Boolean(host.capabilities.message);
}

function saidIn(result) {
  return list(result.content).filter((block) => object(block).type === "text").map((block) => text(block.text)).join("\n\n");
}

function notice(words) {
  document.getElementById("notice").textContent = words;
}

function render(...nodes) {
  const view = document.getElementById("view");
  view.removeAttribute("aria-busy");
  view.replaceChildren(...nodes.flat(Infinity).filter(Boolean));
}

function adopt(context) {
  const root = document.documentElement;
  if (context.theme === "light" || context.theme === "dark") root.dataset.theme = context.theme;
  if (context.timeZone || context.locale) tryOut({ locale: context.locale, timeZone: context.timeZone });
  const font = text(object(object(context.styles).variables)["--font-sans"]);
  if (font && !/[;{}()]/.test(font)) root.style.setProperty("--font", font);
  host.tool = text(object(object(context.toolInfo).tool).name) || host.tool;
}

function tryOut({ locale, timeZone }) {
  try {
    new Intl.DateTimeFormat(locale, { timeZone });
    Object.assign(settings, locale ? { locale } : {}, timeZone ? { timeZone } : {});
  } catch {
    // A name this browser does not know: the defaults stay.
  }
}

// Draws what came; what cannot be drawn is shown as the text that came with it.
function show(result, draw) {
  const said = saidIn(result);
  try {
    if (result.isError) render(callout("bad", "The call failed", [said || "No reason was given."]));
    else if (!result.structuredContent) render(el("pre", {}, said || "The result is empty."));
    else draw(object(result.structuredContent));
  } catch {
    render(callout("warn", "This result cannot be drawn", ["Its text follows."]), el("pre", {}, said));
  }
}

// Begins: greets the host, then draws every result it passes in with `draw(structured result)`.
function start(title, draw) {
  const heard = {
    "ui/notifications/tool-input": (params) => { host.input = object(params.arguments); },
    "ui/notifications/tool-result": (params) => show(params, draw),
    "ui/notifications/tool-cancelled": () => render(el("p", { class: "soft" }, "The call was cancelled.")),
    "ui/notifications/host-context-changed": adopt,
  };
  window.addEventListener("message", ({ source, data }) => {
    if (source !== window.parent || object(data).jsonrpc !== "2.0") return;
    if (data.method === undefined) settle(data.id, data);
    else if (data.id === undefined) heard[data.method]?.(object(data.params));
    else if (data.method === "ping" || data.method === "ui/resource-teardown") post({ id: data.id, result: {} });
    else post({ id: data.id, error: { code: -32601, message: "A view has no such method." } });
  });
  greet(title).catch((error) => notice(error.message));
}

async function greet(title) {
  const hello = {
    appInfo: { name: "postrider", title, version: "1" },
    appCapabilities: { availableDisplayModes: ["inline"] },
    protocolVersion: PROTOCOL_VERSION,
  };
  const welcome = await ask("ui/initialize", hello);
  host.capabilities = object(welcome.hostCapabilities);
  adopt(object(welcome.hostContext));
  post({ method: "ui/notifications/initialized", params: {} });
  tellSize();
}

function tellSize() {
  let told = 0;
  new ResizeObserver(() => {
    const height = Math.ceil(document.documentElement.getBoundingClientRect().height);
    if (height === told) return;
    told = height;
    post({ method: "ui/notifications/size-changed", params: { height } });
  }).observe(document.documentElement);
}

// Elements, made without HTML: texts become text nodes, attributes come from a short list. What strangers wrote cannot
// become markup here, whatever it holds.

const ATTRIBUTES = new Set([
  "class", "id", "role", "type", "title", "for", "scope", "colspan", "tabindex", "datetime", "rows", "dir", "lang", "value",
  "open", "disabled", "readonly", "x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "rx", "width", "height", "viewBox",
  "points", "text-anchor", "d", "preserveAspectRatio", "focusable",
]);

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (!ATTRIBUTES.has(name) && !name.startsWith("aria-")) throw new Error(`The attribute ${name} is not used here`);
    node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (child instanceof Node ? child : document.createTextNode(String(child)))));
  return node;
}

// An element with attributes and children; null, undefined and false are left out of both.
function el(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

// What somebody else wrote: its direction of writing stays its own.
function theirs(text, attributes = {}) {
  return el("bdi", attributes, text);
}

function button(label, action, attributes = {}) {
  const made = el("button", { type: "button", ...attributes }, label);
  made.addEventListener("click", action);
  return made;
}

function section(title, ...children) {
  return el("section", {}, el("h2", {}, title), ...children);
}

function badge(text, kind = "") {
  return el("span", { class: `badge ${kind}` }, text);
}

function callout(kind, title, lines) {
  if (!lines.length) return null;
  return el("div", { class: `callout ${kind}` }, el("strong", {}, title),
    lines.length === 1 ? el("p", {}, theirs(lines[0])) : el("ul", {}, lines.map((line) => el("li", {}, theirs(line)))));
}

// Figures with their names, the most important one first.
function tiles(pairs) {
  return el("dl", { class: "tiles" }, pairs.filter(Boolean).map(([name, value, note]) =>
    el("div", {}, el("dt", {}, name), el("dd", {}, value, note ? el("small", {}, note) : null))));
}

function table(caption, heads, rows, attributes = {}) {
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    el("table", attributes, el("caption", { class: "hidden" }, caption),
      el("thead", {}, el("tr", {}, heads.map((head) => el("th", { scope: "col" }, head)))),
      el("tbody", {}, rows.map(([first, ...rest]) =>
        el("tr", {}, el("th", { scope: "row" }, first), rest.map((cell) => el("td", {}, cell)))))));
}

function folded(summary, ...children) {
  return el("details", {}, el("summary", {}, summary), ...children);
}

// Tabs as the keyboard knows them: arrows move, the panel follows. `choices`: [label, function that gives the panel].
function tabs(label, choices) {
  const panel = el("div", { role: "tabpanel", id: "panel", tabindex: "0" });
  const list = choices.map(([name], index) => button(name, () => choose(index), { role: "tab", id: `tab-${index}` }));
  function choose(index) {
    list.forEach((tab, other) => {
      tab.setAttribute("aria-selected", String(other === index));
      tab.setAttribute("aria-controls", "panel");
      tab.tabIndex = other === index ? 0 : -1;
    });
    panel.setAttribute("aria-labelledby", `tab-${index}`);
    panel.replaceChildren(choices[index][1]());
  }
  const bar = el("div", { class: "tabs", role: "tablist", "aria-label": label }, list);
  bar.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const next = (list.indexOf(document.activeElement) + step + list.length) % list.length;
    choose(next);
    list[next].focus();
  });
  choose(0);
  return [bar, panel];
}

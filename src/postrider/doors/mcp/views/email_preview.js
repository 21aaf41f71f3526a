// The email preview. Its HTML is shown where nothing can run or load: a sandboxed frame without scripts, forms, links or
// an origin, under a policy that allows inline styles and images inside the message only. The cleaning comes before
// that, so that no single one of them has to hold.

const DESKTOP_PX = 680;
const PHONE_PX = 375;
const INNER_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'";
const DROPPED = "script, link, meta, base, title, iframe, frame, frameset, object, embed, applet, portal, form, input, button, "
  + "select, textarea, svg, math, audio, video, source, track, picture > source, template, noscript, dialog, map, area";
const KEPT = new Set(["style", "class", "align", "valign", "width", "height", "bgcolor", "color", "border", "cellpadding",
  "cellspacing", "colspan", "rowspan", "dir", "lang", "alt", "title", "face", "size", "start"]);

// The body of `html` without what acts or loads, its links, and how many images were left out. The parser is inert.
function cleaned(html) {
  const parsed = new DOMParser().parseFromString(html, "text/html");
  const links = [...parsed.querySelectorAll("a[href]")].map((link) => ({ words: link.textContent.trim(), to: link.getAttribute("href") }));
  let images = 0;
  parsed.querySelectorAll(DROPPED).forEach((node) => node.remove());
  for (const image of parsed.querySelectorAll("img")) {
    if (/^data:image\/(png|jpeg|gif|webp);base64,/i.test(image.getAttribute("src") ?? "")) continue;
    images += 1;
    image.replaceWith(parsed.createTextNode(image.alt ? `[image: ${image.alt}]` : "[image]"));
  }
  for (const node of parsed.querySelectorAll("*")) {
    for (const { name } of [...node.attributes]) {
      if (!KEPT.has(name) && !(name === "src" && node.localName === "img")) node.removeAttribute(name);
    }
    if (node.localName === "a") node.className = "postrider-link";
  }
  const styles = [...parsed.head.querySelectorAll("style")].map((style) => style.outerHTML).join("");
  return { body: styles + parsed.body.innerHTML, links, images };
}

function pageOf(body) {
  return `<!doctype html><html><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="${INNER_POLICY}">`
    + "<style>html{background:#fff;color:#1c1c1c;color-scheme:light}body{margin:20px;font:15px/1.5 Arial,Helvetica,sans-serif;"
    + "overflow-wrap:anywhere}img{max-width:100%}.postrider-link{color:#1a56c4;text-decoration:underline}</style></head>"
    + `<body>${body}</body></html>`;
}

// About as high as the text is long: a frame without an origin cannot be measured.
function heightFor(words, widthPx) {
  const perLine = (widthPx - 40) / 7;
  const high = words.split("\n").reduce((sum, line) => sum + (line.trim() ? 23 * Math.ceil(line.length / perLine) : 15), 0);
  return Math.min(560, Math.max(180, 80 + high));
}

function screen(page, words, widthPx, name) {
  const frame = el("iframe", { title: `The email at ${name} width`, tabindex: "0", width: widthPx, height: heightFor(words, widthPx) });
  frame.setAttribute("sandbox", "");
  frame.setAttribute("referrerpolicy", "no-referrer");
  frame.srcdoc = page;
  const device = el("div", { class: `device ${name}` }, frame);
  new ResizeObserver(() => {
    const scale = Math.min(1, device.clientWidth / widthPx);
    frame.style.transform = scale < 1 ? `scale(${scale})` : "none";
    device.style.setProperty("height", `${Math.round(frame.height * scale)}px`);
  }).observe(device);
  return device;
}

function envelope(data) {
  const party = (who) => [theirs(text(object(who).name)), " ", el("span", { class: "soft" }, theirs(`<${text(object(who).email)}>`))];
  const rows = [["From", party(data.from)], ["To", party(data.to)]];
  return el("dl", { class: "envelope" }, rows.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
}

function linksOf(links) {
  if (!links.length) return null;
  return folded(`${counted(links.length, "link")} in this email`,
    el("ul", { class: "plain" }, links.map(({ words, to }) => el("li", {}, theirs(words || "(no words)"), el("br"), el("code", {}, to)))));
}

start("Email preview", (data) => {
  const words = text(data.text);
  const { body, links, images } = cleaned(text(data.body));
  const page = pageOf(body);
  const missing = list(data.missingVariables).map(text);
  render(
    el("header", {},
      el("p", { class: "kicker" }, "Email preview ", badge(`Variant ${text(data.variant) || "A"}`)),
      el("h1", {}, theirs(text(data.subject) || "(no subject)")),
      envelope(data)),
    callout("bad", "Held: this lead lacks values and is not written to", missing.length ? [missing.join(", ")] : []),
    callout("warn", "Before it leaves", list(data.warnings).map(text)),
    tabs("How the email is shown", [
      ["Desktop", () => screen(page, words, DESKTOP_PX, "desktop")],
      ["Phone", () => screen(page, words, PHONE_PX, "phone")],
      ["Plain text", () => el("pre", { class: "sheet", dir: "auto" }, words || "(no text part)")],
    ]),
    images ? el("p", { class: "soft" }, `${counted(images, "image")} not loaded: a preview fetches nothing.`) : null,
    linksOf(links),
  );
});

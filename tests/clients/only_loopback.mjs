// Loaded before every program of this folder: whoever connects or looks a name up elsewhere than here is refused, and
// the attempt is written to the file that REFUSED_ADDRESSES names, because programs hide such failures.
import dns from "node:dns";
import { appendFileSync } from "node:fs";
import net from "node:net";

const own = new Set([undefined, "", "localhost", "127.0.0.1", "::1"]);

function refuse(host) {
  appendFileSync(process.env.REFUSED_ADDRESSES, `${host}\n`);
  throw new Error(`only loopback may be reached, not ${host}`);
}

const connect = net.Socket.prototype.connect;
net.Socket.prototype.connect = function (...given) {
  // Node hands the arguments over as one list when it has looked at them already.
  const [first, second] = Array.isArray(given[0]) ? given[0] : given;
  const host = typeof first === "object" && first !== null ? first.host : typeof second === "string" ? second : undefined;
  if (!own.has(host)) refuse(host);
  return connect.apply(this, given);
};

for (const module of [dns, dns.promises]) {
  for (const name of Object.keys(module).filter((name) => name === "lookup" || name.startsWith("resolve"))) {
    const ask = module[name];
    const check = (host, ...rest) => (own.has(host) ? ask(host, ...rest) : refuse(host));
    module[name] = module === dns ? check : async (...given) => check(...given);
  }
}

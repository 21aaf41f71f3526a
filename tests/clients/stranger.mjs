// Tries to leave the machine in three ways.
import { lookup } from "node:dns/promises";
import { connect } from "node:net";

const byName = () => fetch("https://example.org/");
const byNumber = async () => connect({ host: "192.0.2.1", port: 80 });
for (const attempt of [byName, byNumber, () => lookup("example.org")]) {
  await attempt().then(() => console.log("reached"), () => console.log("refused"));
}

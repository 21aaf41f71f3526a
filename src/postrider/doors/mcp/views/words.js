// Values of a result, whatever came, and how they are written. Dates without a time are days: they have no time zone.

const settings = { locale: "en-GB", timeZone: undefined };

function list(value) {
  return Array.isArray(value) ? value : [];
}

function object(value) {
  return value !== null && typeof value === "object" && !Array.isArray(value) ? value : {};
}

function number(value) {
  return typeof value === "number" && Number.isFinite(value) ? value : 0;
}

function text(value) {
  return typeof value === "string" ? value : "";
}

function counted(count, one, many = `${one}s`) {
  return `${plain(count)} ${count === 1 ? one : many}`;
}

function plain(value) {
  return new Intl.NumberFormat(settings.locale).format(number(value));
}

function percent(share, digits = 1) {
  return `${(100 * share).toFixed(digits)} %`;
}

// send_failed, sendFailed -> send failed
function spaced(name) {
  return text(name).replaceAll("_", " ").replace(/([a-z])([A-Z])/g, "$1 $2").toLowerCase();
}

function capital(words) {
  return words.charAt(0).toUpperCase() + words.slice(1);
}

function moment(value) {
  const at = new Date(text(value));
  if (Number.isNaN(at.getTime())) return "—";
  const style = { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", timeZoneName: "short" };
  return new Intl.DateTimeFormat(settings.locale, { ...style, timeZone: settings.timeZone }).format(at);
}

function dayOf(value) {
  const at = /^\d{4}-\d\d-\d\d$/.test(text(value)) ? new Date(`${value}T00:00:00Z`) : null;
  return at && !Number.isNaN(at.getTime()) ? at : null;
}

function day(at, style = { weekday: "short", day: "numeric", month: "short" }) {
  return new Intl.DateTimeFormat(settings.locale, { ...style, timeZone: "UTC" }).format(at);
}

function size(bytes) {
  return bytes < 1024 ? `${bytes} B` : bytes < 1048576 ? `${Math.round(bytes / 1024)} kB` : `${(bytes / 1048576).toFixed(1)} MB`;
}

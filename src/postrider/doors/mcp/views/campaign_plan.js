// The plan of a campaign: a calendar of sends, all mailboxes together or one at a time.

const DAY_MS = 86_400_000;
const HUES = 6;

// Whole weeks, Monday first, from the first to the last day that something is sent on.
function weeksOf(days) {
  const first = days[0].at.getTime();
  const last = days[days.length - 1].at.getTime();
  const monday = first - ((days[0].at.getUTCDay() + 6) % 7) * DAY_MS;
  const weeks = [];
  for (let start = monday; start <= last; start += 7 * DAY_MS) {
    weeks.push(Array.from({ length: 7 }, (_, index) => new Date(start + index * DAY_MS)));
  }
  return weeks;
}

function share(node, part) {
  node.style.setProperty("--share", String(part));
  return node;
}

class Calendar {
  constructor(days, mailboxes) {
    this.days = days;
    this.mailboxes = mailboxes;
    this.byDate = new Map(days.map((entry) => [entry.date, entry]));
    this.chosenDate = days[0].date;
    this.chosenMailbox = "";
    this.grid = el("div", { class: "calendar" });
    this.detail = el("div", { class: "panel", "aria-live": "polite" });
    this.draw();
  }

  count(entry) {
    return this.chosenMailbox ? number(entry.mailboxes[this.chosenMailbox]) : number(entry.total);
  }

  picker() {
    const options = [["", "All mailboxes"], ...this.mailboxes].map(([id, email]) => el("option", { value: id }, email));
    const select = el("select", { id: "mailbox" }, options);
    select.addEventListener("change", () => {
      this.chosenMailbox = select.value;
      this.draw();
    });
    return el("div", { class: "field" }, el("label", { for: "mailbox" }, "Mailbox"), select);
  }

  draw() {
    const most = Math.max(1, ...this.days.map((entry) => this.count(entry)));
    const names = weeksOf(this.days)[0].map((at) => el("th", { scope: "col" }, el("abbr", { title: day(at, { weekday: "long" }) }, day(at, { weekday: "short" }))));
    const rows = weeksOf(this.days).map((week) => el("tr", {}, week.map((at) => el("td", {}, this.cell(at, most)))));
    this.grid.replaceChildren(el("table", {}, el("caption", { class: "hidden" }, "Emails for each day"),
      el("thead", {}, el("tr", {}, names)), el("tbody", {}, rows)));
    this.describe();
  }

  cell(at, most) {
    const date = at.toISOString().slice(0, 10);
    const entry = this.byDate.get(date);
    const label = at.getUTCDate() === 1 || date === this.days[0].date ? day(at, { day: "numeric", month: "short" }) : String(at.getUTCDate());
    const count = entry ? this.count(entry) : 0;
    if (!count) return el("div", { class: "day none" }, el("span", { class: "date" }, label));
    const words = [el("span", { class: "date" }, label), " ", el("span", { class: "count" }, plain(count)), el("span", { class: "hidden" }, " emails")];
    const made = button([words, this.parts(entry, count)], () => this.choose(date), { class: "day", "aria-pressed": String(date === this.chosenDate) });
    made.dataset.date = date;
    return share(made, count / most);
  }

  parts(entry, count) {
    return el("span", { class: "parts", "aria-hidden": "true" }, this.mailboxes.map(([id], index) => {
      const own = this.own(entry, id);
      return own ? share(el("span", { class: `hue-${index % HUES}` }), own / count) : null;
    }));
  }

  choose(date) {
    this.chosenDate = date;
    for (const cell of this.grid.querySelectorAll("button")) cell.setAttribute("aria-pressed", String(cell.dataset.date === date));
    this.describe();
  }

  // What the mailbox sends on a day: nothing where another one is chosen.
  own(entry, id) {
    return this.chosenMailbox && this.chosenMailbox !== id ? 0 : number(entry.mailboxes[id]);
  }

  describe() {
    const entry = this.byDate.get(this.chosenDate);
    const own = this.mailboxes.map(([id, email], index) => [email, this.own(entry, id), index]).filter(([, count]) => count);
    this.detail.replaceChildren(el("h3", {}, `${day(entry.at, { weekday: "long", day: "numeric", month: "long" })}: ${counted(this.count(entry), "email")}`),
      el("ul", { class: "plain" }, own.map(([email, count, index]) =>
        el("li", { class: "row" }, el("span", { class: `dot hue-${index % HUES}`, "aria-hidden": "true" }), theirs(email), el("strong", {}, plain(count))))));
  }
}

// A reason of the plan as a person would say it.
function reason(code) {
  const [kind, name] = code.split(":");
  const known = { on_dnc: "On the do-not-contact list", missing_variable: "Lacks a value", no_step: "Nothing left to send", not_due: "Not due yet" };
  return [known[kind] ?? capital(spaced(kind)), name ? [": ", el("code", {}, name)] : null];
}

function countsTable(title, what, counts) {
  const rows = Object.entries(object(counts)).sort((one, other) => number(other[1]) - number(one[1]));
  return rows.length ? section(title, table(title, ["Why", what], rows.map(([why, count]) => [reason(why), plain(count)]))) : null;
}

function samplesOf(samples, names) {
  if (!samples.length) return null;
  return section("First emails", el("ul", { class: "plain" }, samples.map((sample) => el("li", {},
    folded([theirs(text(sample.subject) || "(no subject)"), " ", badge(`Email ${number(sample.step)}${text(sample.variant)}`), el("br"),
      el("span", { class: "soft" }, theirs(text(sample.to)), ` · ${moment(sample.at)} · `, theirs(names.get(text(sample.mailboxId)) ?? text(sample.mailboxId)))],
    el("pre", { class: "sheet", dir: "auto" }, text(sample.text)))))));
}

function dayTable(days, mailboxes) {
  const rows = days.map((entry) => [day(entry.at), plain(entry.total), ...mailboxes.map(([id]) => plain(entry.mailboxes[id]))]);
  return folded("The same as a table", table("Emails for each day and mailbox", ["Day", "All", ...mailboxes.map(([, email]) => theirs(email))], rows));
}

start("Campaign plan", (data) => {
  const names = new Map(Object.entries(object(data.mailboxes)).map(([id, email]) => [id, text(email)]));
  const mailboxes = [...names];
  const days = list(data.days).map((entry) => ({ ...entry, mailboxes: object(entry.mailboxes), at: dayOf(entry.date) }))
    .filter((entry) => entry.at && number(entry.total) > 0);
  const calendar = days.length ? new Calendar(days, mailboxes) : null;
  const end = data.endsAfterHorizon ? `after ${counted(data.horizonDays, "day")}` : moment(data.endsAt);
  render(
    el("header", {}, el("p", { class: "kicker" }, "Campaign plan ", badge(spaced(data.status))),
      el("h1", {}, `${counted(data.plannedSends, "email")} to ${counted(data.leads, "lead")}`)),
    callout("warn", "Worth knowing", list(data.warnings).map(text)),
    tiles([["First email", moment(data.firstSendAt)], ["Ends", end], ["Mailboxes", plain(mailboxes.length)],
      number(data.leftOverEmails) ? ["Left over", plain(data.leftOverEmails), "after the days shown"] : null]),
    calendar
      ? section("Calendar of sends", calendar.picker(), calendar.grid, calendar.detail, dayTable(days, mailboxes))
      : callout("warn", "Nothing would be sent", ["No email is due in the days that were planned."]),
    el("div", { class: "columns" }, countsTable("Skipped leads", "Leads", data.skips), countsTable("Waiting", "Leads", data.waits)),
    samplesOf(list(data.samples), names),
    el("p", { class: "soft" }, "Nothing is sent by planning. Replies, bounces and edits change what comes."),
  );
});

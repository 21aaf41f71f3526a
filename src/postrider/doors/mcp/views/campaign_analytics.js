// The analytics of a campaign. The days are not in the result: they are asked for through the host, where it allows that.

function stagesOf(stats) {
  const of = (rate) => `${number(rate).toFixed(1)} %`;
  return [
    { name: "Sent", count: number(stats.sent), note: "" },
    { name: "Delivered", count: number(stats.delivered), note: `${number(stats.bounceRate).toFixed(1)} % bounced` },
    { name: "Opened", count: number(stats.opened), note: `${of(stats.openRate)}, a hint only` },
    { name: "Clicked", count: number(stats.clicked), note: `${of(stats.clickRate)} of delivered` },
    { name: "Replied", count: number(stats.replied), note: `${of(stats.replyRate)} of delivered` },
  ];
}

function othersOf(stats) {
  const kinds = [["Automatic replies", stats.autoReplied], ["Bounced", stats.bounced], ["Unsubscribed", stats.unsubscribed],
    ["Complaints", stats.complained], ["Failed", stats.failed], ["Unknown outcome", stats.unknown]];
  const some = kinds.filter(([, count]) => number(count));
  return some.length ? tiles(some.map(([name, count]) => [name, plain(count)])) : null;
}

function verdict(variants) {
  const best = clearlyBest(variants);
  if (best) return `${best.label} gets more replies than ${variants.length > 2 ? "each other variant" : "the other"}; at 95 % confidence that is not chance.`;
  if (variants.some(({ tries }) => !tries)) return "Not every variant has been delivered yet, so there is nothing to compare.";
  return "The difference is not distinguishable from chance yet: do not pick a winner from it.";
}

function variantRow({ label, subject, enabled, hits, tries, sent }, most) {
  const interval = wilson(hits, tries);
  const rate = tries ? Math.min(hits, tries) / tries : null;
  const name = [el("strong", {}, label), subject ? [" ", theirs(subject, { class: "soft" })] : null, enabled ? null : [" ", badge("off")]];
  const shown = rate === null
    ? el("span", { class: "range" }, "nothing delivered")
    : el("div", { class: "rate" }, el("strong", {}, percent(rate)), el("span", { class: "range" }, `${percent(interval[0])} – ${percent(interval[1])}`),
      intervalChart(rate, interval, most));
  return [name, shown, plain(hits), plain(tries), plain(sent)];
}

function stepOf(step) {
  const stats = object(step.stats);
  const variants = list(step.variants).map((variant) => {
    const own = object(variant.stats);
    return { label: text(variant.label), subject: text(variant.subject), enabled: variant.enabled === true,
      sent: number(own.sent), tries: number(own.delivered), hits: number(own.replied) };
  });
  const highs = variants.filter(({ tries }) => tries).map(({ hits, tries }) => wilson(hits, tries)[1]);
  const most = Math.max(0.05, ...highs);
  const title = step.step === null ? "Removed email" : `Email ${number(step.step)}`;
  return el("div", { class: "step" },
    el("h3", {}, title, step.name ? [": ", theirs(text(step.name))] : null),
    el("p", { class: "soft" }, `${plain(stats.sent)} sent · ${plain(stats.delivered)} delivered · ${plain(stats.replied)} replied (${number(stats.replyRate).toFixed(1)} %)`),
    table(`Variants of ${title}`, ["Variant", "Reply rate, 95 % interval", "Replied", "Delivered", "Sent"],
      variants.map((variant) => variantRow(variant, most)), { class: "variants" }),
    variants.filter(({ enabled, sent }) => enabled || sent).length > 1 ? el("p", { class: "verdict" }, verdict(variants.filter(({ enabled, sent }) => enabled || sent))) : null);
}

function leadsOf(leads) {
  const rows = Object.entries(object(leads)).sort((one, other) => number(other[1]) - number(one[1]));
  return rows.length ? section("Leads", tiles(rows.map(([status, count]) => [capital(spaced(status)), plain(count)]))) : null;
}

function daysOf(items) {
  return list(items).map((item) => ({ at: dayOf(item.date), sent: number(object(item.stats).sent), replied: number(object(item.stats).replied) }))
    .filter(({ at }) => at);
}

function drawDays(place, days) {
  if (!days.some(({ sent, replied }) => sent || replied)) {
    place.replaceChildren(el("p", { class: "soft" }, "Nothing was sent or answered in these days."));
    return;
  }
  const chart = el("div", {});
  new ResizeObserver(() => {
    if (chart.clientWidth) chart.replaceChildren(dailyChart(days, chart.clientWidth));
  }).observe(chart);
  const rows = days.filter(({ sent, replied }) => sent || replied).map(({ at, sent, replied }) => [day(at), plain(sent), plain(replied)]);
  place.replaceChildren(
    el("p", { class: "legend" }, el("span", { class: "dot sent", "aria-hidden": "true" }), "Sent", el("span", { class: "dot replied", "aria-hidden": "true" }), "Replied"),
    chart, folded("The same as a table", table("Sent and replied for each day", ["Day (UTC)", "Sent", "Replied"], rows)));
}

// The figures come from the operation itself or, where a host lets a view call only what is listed, by way of the core.
async function askForDays(campaignId) {
  const range = Object.fromEntries(["from", "to"].filter((name) => text(host.input[name])).map((name) => [name, text(host.input[name])]));
  const args = { campaignId, ...range };
  const found = await callTool("get_daily_analytics", args)
    .catch(() => callTool("run_read_operation", { operation: "get_daily_analytics", arguments: args }));
  return daysOf(found.items);
}

start("Campaign analytics", (data) => {
  const campaign = object(data.campaign);
  const stats = object(data.stats);
  const daily = el("div", { "aria-live": "polite" }, el("p", { class: "soft" }, "Reading the days…"));
  render(
    el("header", {}, el("p", { class: "kicker" }, "Campaign analytics ", badge(spaced(campaign.status))), el("h1", {}, theirs(text(campaign.name)))),
    callout("warn", "Worth knowing", list(data.warnings).map(text)),
    tiles([["Reply rate", `${number(stats.replyRate).toFixed(1)} %`, counted(number(stats.replied), "reply", "replies")],
      ["Leads", plain(data.totalLeads)], ["Bounce rate", `${number(stats.bounceRate).toFixed(1)} %`]]),
    section("From sent to replied", funnel(stagesOf(stats)), othersOf(stats)),
    section("Day by day", daily),
    list(data.steps).length ? section("Emails and variants", list(data.steps).map(stepOf)) : null,
    leadsOf(data.leads),
  );
  askForDays(text(campaign.id)).then((days) => drawDays(daily, days))
    .catch((error) => daily.replaceChildren(el("p", { class: "soft" }, `The days cannot be shown here. ${error.message}`)));
});

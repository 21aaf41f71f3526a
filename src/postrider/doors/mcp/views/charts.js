// Charts as SVG, each with its figures beside it in words or in a table: nothing is told by a picture alone.

const CHART = { left: 34, sent: 110, gap: 22, replied: 56, bottom: 24 };

function funnel(stages) {
  const most = Math.max(1, ...stages.map(({ count }) => count));
  return el("ol", { class: "funnel" }, stages.map(({ name, count, note }) => {
    const bar = el("span", { class: "bar", "aria-hidden": "true" });
    bar.style.setProperty("--share", String(count / most));
    return el("li", {}, el("span", { class: "stage" }, name), el("span", { class: "track" }, bar), el("strong", {}, plain(count)), el("span", { class: "soft" }, note));
  }));
}

// A round number that is at least `most`.
function ceiling(most) {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, most)));
  return [1, 2, 3, 4, 6, 8, 10].map((step) => step * power).find((value) => value >= most);
}

// Bars, one for each value, over a line at nothing and one at a round number; the panel begins at `top`.
function bars(kind, values, { width, top, height }) {
  const most = ceiling(Math.max(1, ...values));
  const slot = (width - CHART.left) / values.length;
  const y = (value) => top + height * (1 - value / most);
  const line = (value) => [
    svg("line", { class: "rule", x1: CHART.left, x2: width, y1: y(value), y2: y(value) }),
    svg("text", { x: CHART.left - 7, y: y(value) + 4, "text-anchor": "end" }, plain(value)),
  ];
  const bar = (value, index) => value
    ? svg("rect", { class: kind, x: CHART.left + slot * (index + 0.14), width: slot * 0.72, y: y(value), height: top + height - y(value), rx: Math.min(2, slot / 4) })
    : null;
  return [line(0), line(most), values.map(bar)];
}

// What was sent, and below it what was answered, each on a scale of its own. `days`: [{at, sent, replied}].
function dailyChart(days, width) {
  const { left, sent, replied, gap, bottom } = CHART;
  const height = 10 + sent + gap + replied + bottom;
  const slot = (width - left) / days.length;
  const every = Math.ceil(62 / slot);
  const dates = days.map(({ at }, index) => index % every === 0 && left + slot * index + 50 < width
    ? svg("text", { x: left + slot * index, y: height - 6 }, day(at, { day: "numeric", month: "short" })) : null);
  const total = (key) => plain(days.reduce((sum, entry) => sum + entry[key], 0));
  return svg("svg", { class: "daily", viewBox: `0 0 ${width} ${height}`, width, height, role: "img",
    "aria-label": `${total("sent")} sent and ${total("replied")} replied in ${counted(days.length, "day")}` },
    bars("sent", days.map((entry) => entry.sent), { width, top: 10, height: sent }),
    bars("replied", days.map((entry) => entry.replied), { width, top: 10 + sent + gap, height: replied }), dates);
}

// One rate with its interval, on a scale from 0 to `most`.
function intervalChart(rate, [low, high], most) {
  const x = (value) => 6 + 188 * Math.min(1, value / most);
  return svg("svg", { class: "interval", viewBox: "0 0 200 18", "aria-hidden": "true", focusable: "false" },
    svg("line", { class: "rule", x1: 6, x2: 194, y1: 9, y2: 9 }),
    svg("rect", { class: "span", x: x(low), width: Math.max(2, x(high) - x(low)), y: 5, height: 8, rx: 4 }),
    svg("circle", { class: "point", cx: x(rate), cy: 9, r: 5 }));
}

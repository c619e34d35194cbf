// The plain page: evaluations over time, as the API tells them. What is not known is drawn as not known.

const RANGES = {
  "1h": { resolution: "1m", minutes: 1, refreshMs: 3000 },
  "24h": { resolution: "15m", minutes: 15, refreshMs: 5000 },
  "7d": { resolution: "1h", minutes: 60, refreshMs: 10000 },
};
const GROUPS = ["flag", "customer", "environment"];
const OTHER = "__other__";
const TOKEN_KEY = "flagmeter-token";
// A bucket that ended this long ago and is not known is a gap; before that it is just not there yet.
const GRACE_MS = 60000;

const $ = (id) => document.getElementById(id);
const number = new Intl.NumberFormat();
const compact = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 });

const view = { range: "24h", by: "flag", cursor: null, answer: null, timer: 0, request: null };

// The token: out of the address into this tab, never into history or logs.

function takeFragment() {
  const given = new URLSearchParams(location.hash.slice(1));
  if (given.get("token")) sessionStorage.setItem(TOKEN_KEY, given.get("token").trim());
  if (given.get("range") in RANGES) view.range = given.get("range");
  if (GROUPS.includes(given.get("by"))) view.by = given.get("by");
  for (const [name, value] of [["range", view.range], ["by", view.by]]) {
    document.querySelector(`input[name="${name}"][value="${value}"]`).checked = true;
  }
  showInAddress();
}

function showInAddress() {
  history.replaceState(null, "", `#range=${view.range}&by=${view.by}`);
}

function askForToken(why) {
  stop();
  sessionStorage.removeItem(TOKEN_KEY);
  $("token-form").hidden = false;
  $("chart-section").hidden = true;
  $("forget").hidden = true;
  notice(why);
  $("token").focus();
}

// Text that is read out when it changes: the same text again must stay silent.
function say(id, text) {
  if ($(id).textContent !== text) $(id).textContent = text;
}

function notice(text) {
  $("notice").hidden = !text;
  say("notice", text ?? "");
}

// Asking.

let zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

async function ask(signal) {
  const query = new URLSearchParams({
    from: `-${view.range}`, to: "now", resolution: RANGES[view.range].resolution, tz: zone,
    group_by: view.by, limit: "5",
  });
  const headers = { authorization: `Bearer ${sessionStorage.getItem(TOKEN_KEY)}`, accept: "application/json" };
  const response = await fetch(`/v1/usage?${query}`, { headers, signal, cache: "no-store" });
  if (response.ok) return response.json();
  const problem = await response.json().catch(() => ({}));
  throw Object.assign(new Error(problem.detail ?? `The server answered ${response.status}.`),
    { status: response.status, parameter: problem.parameter });
}

async function load() {
  stop();
  if (!sessionStorage.getItem(TOKEN_KEY)) return askForToken();
  const request = new AbortController();
  view.request = request;
  try {
    const answer = await ask(request.signal);
    $("chart-section").classList.remove("stale");
    notice(aboutMissing(answer));
    show(answer);
  } catch (error) {
    if (request.signal.aborted) return;
    if (error.status === 401) return askForToken("That token is not in force here. Try another.");
    if (error.parameter === "tz" && zone !== "UTC") {
      zone = "UTC";
      return load();
    }
    // The last chart stays, dimmed: no answer says nothing about the counts.
    $("chart-section").classList.add("stale");
    notice(error.status ? error.message : "The server does not answer. Trying again.");
  }
  if (!document.hidden) view.timer = setTimeout(load, RANGES[view.range].refreshMs);
}

function stop() {
  clearTimeout(view.timer);
  view.request?.abort();
}

function aboutMissing(answer) {
  const missing = answer.missing_nodes.map(
    ({ node, region, since }) => `node ${node}${region ? ` in ${region}` : ""} since ${wall(since)}`,
  );
  return missing.length ? `Silent: ${missing.join(", ")}. What they received is not in these counts.` : null;
}

// Showing.

function show(answer) {
  view.answer = layOut(answer);
  $("token-form").hidden = true;
  $("chart-section").hidden = false;
  $("forget").hidden = false;
  $("zone").textContent = `Times in ${answer.tz}`;
  showTotal(answer);
  showLegend();
  draw();
  if ($("table-box").open) showTable();
}

// Rows come by time, within it by group: turned into buckets with a count for each group.
function layOut(answer) {
  const groups = new Map();
  const buckets = [];
  for (const row of answer.rows) {
    let bucket = buckets.at(-1);
    if (bucket?.start !== row.start) {
      bucket = { start: row.start, end: row.end, state: row.state, counts: [] };
      const isRecent = Date.parse(row.end) > Date.now() - GRACE_MS;
      if (row.state === "unknown" && isRecent) bucket.state = "pending";
      buckets.push(bucket);
    }
    if (!(view.by in row)) continue;
    const name = row[view.by];
    if (!groups.has(name)) groups.set(name, { name, total: 0 });
    groups.get(name).total += row.count ?? 0;
    bucket.counts.push(row.count ?? 0);
  }
  for (const bucket of buckets) bucket.sum = bucket.counts.reduce((sum, count) => sum + count, 0);
  return { groups: [...groups.values()], buckets };
}

function showTotal(answer) {
  const atLeast = answer.state === "partial" ? "at least " : "";
  const total = $("total");
  if (answer.total === null) {
    total.textContent = "not known";
  } else {
    total.replaceChildren(element("small", {}, atLeast), number.format(answer.total));
  }
  $("complete").textContent = answer.complete_until
    ? `Complete until ${wall(answer.complete_until)}`
    : "Nothing has been counted yet.";
}

function showLegend() {
  const item = (group, at) => {
    const key = shape("svg", { class: "key", "aria-hidden": "true" });
    key.append(shape("rect", { class: `bar s${at}` }));
    return element("li", {}, key, element("span", { class: "name", title: label(group.name) }, label(group.name)),
      element("span", { class: "count" }, number.format(group.total)));
  };
  $("legend").replaceChildren(...view.answer.groups.map(item));
}

function showTable() {
  const { groups, buckets } = view.answer;
  const table = $("table");
  table.caption.textContent = `Evaluations by ${view.by}, one row for each ${RANGES[view.range].resolution}`;
  const head = ["From", "State", "All", ...groups.map((group) => label(group.name))];
  table.tHead.replaceChildren(element("tr", {}, ...head.map((text) => element("th", { scope: "col" }, text))));
  const row = (bucket) => {
    const isKnown = !["unknown", "pending"].includes(bucket.state);
    const count = (value) => element("td", {}, isKnown ? number.format(value) : "–");
    return element("tr", {}, element("th", { scope: "row" }, wall(bucket.start)), element("td", {}, stateText(bucket.state)),
      count(bucket.sum), ...groups.map((_, at) => count(bucket.counts[at] ?? 0)));
  };
  table.tBodies[0].replaceChildren(...buckets.toReversed().map(row));
}

function label(name) {
  if (name === OTHER) return "all others";
  return name ?? "(none)";
}

function stateText(state) {
  return { complete: "complete", open: "still filling", partial: "partial", unknown: "not known", pending: "not there yet" }[state];
}

// An RFC 3339 time in the asked zone shows that zone's clocks: no need to convert anything.
function wall(time) {
  const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", timeZone: "UTC" });
  const clock = time.slice(11, 19).replace(/:00$/, "");
  return `${day.format(new Date(`${time.slice(0, 10)}T00:00:00Z`))}, ${clock}`;
}

// Drawing.

const MARGIN = { top: 10, right: 4, bottom: 24, left: 44 };

function draw() {
  if (!view.answer) return;
  const { groups, buckets } = view.answer;
  const { clientWidth: width, clientHeight: height } = $("chart");
  const inner = { width: width - MARGIN.left - MARGIN.right, height: height - MARGIN.top - MARGIN.bottom };
  if (inner.width < 40 || inner.height < 40 || buckets.length === 0) return;
  const step = inner.width / buckets.length;
  const top = niceTop(Math.max(...buckets.map((bucket) => bucket.sum)));
  const x = (at) => MARGIN.left + at * step;
  const y = (count) => MARGIN.top + inner.height * (1 - count / top);
  const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": spoken() });
  svg.append(patterns());
  drawCounts(svg, top, y, width);
  drawTimes(svg, buckets, x, step, height);
  drawGaps(svg, buckets, x, inner);
  buckets.forEach((bucket, at) => drawBar(svg, bucket, x(at), Math.max(step - Math.min(1.5, step * 0.25), 0.8), y));
  if (groups.length === 0 && buckets.every((bucket) => bucket.state !== "unknown")) {
    svg.append(shape("text", { class: "nothing", x: width / 2, y: height / 2, "text-anchor": "middle" }, "Nothing was evaluated."));
  }
  const cursor = shape("rect", { class: "cursor", y: MARGIN.top, height: inner.height, width: Math.max(step, 2) });
  svg.append(cursor);
  $("chart").replaceChildren(svg);
  view.point = (at) => {
    cursor.setAttribute("visibility", at === null ? "hidden" : "visible");
    if (at !== null) cursor.setAttribute("x", x(at));
  };
  view.bucketAt = (left) => Math.min(buckets.length - 1, Math.max(0, Math.floor((left - MARGIN.left) / step)));
  point(view.cursor === null ? null : Math.min(view.cursor, buckets.length - 1));
}

function drawCounts(svg, top, y, width) {
  for (const share of [0, 0.25, 0.5, 0.75, 1]) {
    const count = top * share;
    if (!Number.isInteger(count)) continue;
    svg.append(shape("line", { class: share ? "grid" : "base", x1: MARGIN.left, x2: width - MARGIN.right, y1: y(count), y2: y(count) }));
    svg.append(shape("text", { class: "axis", x: MARGIN.left - 6, y: y(count) + 4, "text-anchor": "end" }, compact.format(count)));
  }
}

function drawTimes(svg, buckets, x, step, height) {
  const { minutes } = RANGES[view.range];
  const every = [5, 10, 15, 30, 60, 120, 180, 360, 720, 1440].find((every) => (every / minutes) * step >= 52) ?? 1440;
  buckets.forEach((bucket, at) => {
    const [hours, minute] = bucket.start.slice(11, 16).split(":").map(Number);
    const ofDay = hours * 60 + minute;
    if (ofDay % every) return;
    const text = ofDay === 0 && minutes > 1 ? wall(bucket.start).split(",")[0] : bucket.start.slice(11, 16);
    // Labels at the edges stay inside.
    const anchor = x(at) < MARGIN.left + 20 ? "start" : x(at) > x(buckets.length) - 20 ? "end" : "middle";
    svg.append(shape("text", { class: "axis", x: x(at), y: height - 6, "text-anchor": anchor }, text));
  });
}

// Neighbouring buckets of which nothing is known are one gap.
function drawGaps(svg, buckets, x, inner) {
  for (let from = 0; from < buckets.length; from += 1) {
    if (buckets[from].state !== "unknown") continue;
    let to = from;
    while (buckets[to + 1]?.state === "unknown") to += 1;
    const [left, width] = [x(from), x(to + 1) - x(from)];
    const gap = shape("rect", { class: "unknown", x: left, y: MARGIN.top, width, height: inner.height });
    gap.append(shape("title", {}, `${wall(buckets[from].start)} to ${wall(buckets[to].end)}: not known`));
    svg.append(gap);
    if (width > 90) {
      svg.append(shape("text", { class: "unknown-label", x: left + width / 2, y: MARGIN.top + inner.height / 2, "text-anchor": "middle" }, "not known"));
    }
    from = to;
  }
}

function drawBar(svg, bucket, left, width, y) {
  let below = 0;
  bucket.counts.forEach((count, at) => {
    if (!count) return;
    const attributes = { x: left, width, y: y(below + count), height: Math.max(y(below) - y(below + count), 0.5) };
    svg.append(shape("rect", { class: `bar s${at}${bucket.state === "open" ? " open" : ""}`, ...attributes }));
    below += count;
  });
  if (bucket.state === "partial" && below) {
    svg.append(shape("rect", { class: "partial-mark", x: left, width, y: y(below), height: y(0) - y(below) }));
  }
}

function patterns() {
  const pattern = (id, line, size) => {
    const made = shape("pattern", { id, width: size, height: size, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" });
    made.append(shape("line", { class: line, x1: 0, y1: 0, x2: 0, y2: size }));
    return made;
  };
  const definitions = shape("defs", {});
  definitions.append(pattern("hatch-unknown", "hatch", 7), pattern("hatch-partial", "hatch-partial", 5));
  return definitions;
}

// The first round number above, that a quarter of it is still a whole one.
function niceTop(most) {
  const wanted = Math.max(most, 4);
  const power = 10 ** Math.floor(Math.log10(wanted));
  return [1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8, 10].map((factor) => factor * power).find((top) => top >= wanted && Number.isInteger(top / 4)) ?? power * 12;
}

// What the chart says to those who do not see it.
function spoken() {
  const { groups, buckets } = view.answer;
  const unknown = buckets.filter((bucket) => bucket.state === "unknown").length;
  const most = buckets.reduce((most, bucket) => (bucket.sum > most.sum ? bucket : most), buckets[0]);
  const parts = [`Evaluations in the last ${view.range}, stacked by ${view.by}`];
  if (groups.length) parts.push(`most is ${label(groups[0].name)} with ${number.format(groups[0].total)}`);
  if (most.sum) parts.push(`peak of ${number.format(most.sum)} at ${wall(most.start)}`);
  if (unknown) parts.push(`${unknown} of ${buckets.length} bars not known`);
  return `${parts.join("; ")}.`;
}

// Pointing, with a pointer or with keys.

function point(at) {
  view.cursor = at;
  view.point?.(at);
  const { groups, buckets } = view.answer;
  if (at === null) {
    say("readout", "");
    return;
  }
  const bucket = buckets[at];
  const isKnown = !["unknown", "pending"].includes(bucket.state);
  const named = groups.map((group, at) => [label(group.name), bucket.counts[at] ?? 0]).filter(([, count]) => count);
  const counts = named.map(([name, count]) => `${name} ${number.format(count)}`);
  const state = bucket.state === "complete" ? "" : ` (${stateText(bucket.state)})`;
  const sum = isKnown ? `${number.format(bucket.sum)}${state}` : stateText(bucket.state);
  say("readout", [`${wall(bucket.start)} – ${wall(bucket.end).split(", ")[1]}: ${sum}`, ...counts].join(" · "));
}

function pointByKey(event) {
  if (!view.answer) return;
  const last = view.answer.buckets.length - 1;
  const now = view.cursor ?? last + 1;
  const to = { ArrowLeft: now - 1, ArrowRight: now + 1, Home: 0, End: last, Escape: null }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  point(to === null ? null : Math.min(last, Math.max(0, to)));
}

// Building.

function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function shape(name, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text) made.textContent = text;
  return made;
}

function choose(event) {
  view[event.target.name] = event.target.value;
  view.cursor = null;
  showInAddress();
  load();
}

$("ranges").addEventListener("change", choose);
$("groups").addEventListener("change", choose);
$("forget").addEventListener("click", () => askForToken());
$("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(TOKEN_KEY, $("token").value.trim());
  $("token").value = "";
  load();
});
$("table-box").addEventListener("toggle", () => view.answer && $("table-box").open && showTable());
$("chart").addEventListener("pointermove", (event) => {
  if (view.bucketAt) point(view.bucketAt(event.clientX - $("chart").getBoundingClientRect().left));
});
$("chart").addEventListener("pointerleave", () => view.answer && point(null));
$("chart").addEventListener("keydown", pointByKey);
document.addEventListener("visibilitychange", () => (document.hidden ? stop() : load()));
window.addEventListener("hashchange", () => { takeFragment(); load(); });
new ResizeObserver(() => draw()).observe($("chart"));

takeFragment();
load();

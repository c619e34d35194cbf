/** One flag: what it was evaluated to, where, by whom, and whether it is still needed. */
import "../../styles/flag.css";
import { type Change, change, changed, here, href, type Place } from "../../address";
import { ask, Problem } from "../../api/client";
import { follow, usage } from "../../api/follow";
import { followMarks, type Marks, marksOf, NO_MARKS } from "../../api/marks";
import { repeat } from "../../api/repeat";
import type { Dimension, FlagPage, FlagUse, Usage } from "../../api/types";
import { Figure } from "../../charts/figure";
import { MarksList } from "../../charts/marks-list";
import { type Colours, coloursIn, type Scene, sceneOf } from "../../charts/scene";
import { spark } from "../../charts/spark";
import { completeness, range, totalSentence } from "../../charts/words";
import { el, fill, name, say } from "../../dom";
import { digits, growth, percent } from "../../numbers";
import { choice } from "../../parts/choice";
import { InTurn } from "../../parts/in-turn";
import type { App, View } from "../../shell/app";
import { day } from "../../time/clock";
import { badgesOf, timeOf } from "../flags/columns";
import { judge } from "../flags/judge";
import { along, closer, farther, picked, type Seen } from "../usage/range";
import { type Share, shares } from "./shares";

export function open(app: App): View {
  return new Flag(app);
}

const RANGES = [
  { value: "24h", label: "24 hours" },
  { value: "7d", label: "7 days" },
  { value: "30d", label: "30 days" },
  { value: "90d", label: "90 days" },
] as const;
type Range = (typeof RANGES)[number]["value"];
const PARTS = [
  { value: "variant", label: "Variants", one: "Variant" },
  { value: "environment", label: "Environments", one: "Environment" },
  { value: "sdk", label: "SDKs", one: "SDK" },
] as const;
type Part = (typeof PARTS)[number]["value"];
const REFRESH_MS = 30_000;
const STALE_DAYS = 30;

/** Which flag an address is that of. */
export interface Which {
  customer: string;
  project: string;
  flag: string;
}

/** The flag of a path; null where it names none. Pure. */
export function whichIn(path: string): Which | null {
  try {
    const [customer, project, flag, ...more] = path.split("/").slice(2).map(decodeURIComponent);
    return customer && project && flag && more.length === 0 ? { customer, project, flag } : null;
  } catch {
    return null;
  }
}

interface Known {
  page: FlagPage;
  use: FlagUse | null;
}

class Flag implements View {
  readonly title = "Flag";
  readonly keys = [];
  private asked = "";
  private ends: (() => void)[] = [];
  private hasMarks = false;
  private readonly range = choice<Range>("Range", RANGES, (value) =>
    change({ from: value === "30d" ? null : `-${value}`, to: null }),
  );
  private readonly by = choice<Part>("Chart by", PARTS, (value) =>
    change({ group_by: value === "variant" ? null : value }, "replace"),
  );
  private readonly crumbs = el("nav", { class: "crumbs", attrs: { "aria-label": "Where this is" } });
  private readonly heading = el("h1");
  private readonly badges = el("span", { class: "badges" });
  private readonly toUsage = el("a", { class: "button" }, "Usage");
  private readonly facts = el("dl", { class: "facts card" });
  private readonly total = el("p", { class: "flag-total" });
  private readonly about = el("p", { class: "hint" });
  private scene: Scene | null = null;
  private colours: Colours = new Map();
  private readonly figure = new Figure({
    picked: (first, last) => this.zoom((seen) => picked(seen, first, last)),
    zoomed: (way, bucket) => this.zoom((seen) => (way === "in" ? closer(seen, bucket) : farther(seen))),
    panned: (way) => this.zoom((seen) => along(seen, way)),
    back: () => history.back(),
  });
  private readonly tables = new Map(
    PARTS.map(({ value, label, one }) => [value, new Shares(value, label, one)]),
  );
  private readonly chartCard = el(
    "section",
    { class: "card chart-card", attrs: { "aria-label": "Evaluations" } },
    el("div", { class: "view-head" }, this.total, this.by.node),
    this.about,
    this.figure.node,
  );
  private readonly shares = el(
    "div",
    { class: "shares" },
    ...[...this.tables.values()].map(({ node }) => node),
  );
  private readonly marks = new MarksList(({ chart }) => chart ?? null);
  // The marks are the last: nothing moves when there is one more.
  private readonly body = el(
    "div",
    { class: "cards" },
    this.facts,
    this.chartCard,
    this.shares,
    this.marks.node,
  );
  private readonly turn = new InTurn([...this.body.children]);
  private readonly none = el("section", { class: "card empty", hidden: true });
  readonly node = el(
    "section",
    { class: "flag-view" },
    this.crumbs,
    el(
      "div",
      { class: "view-head" },
      el("div", { class: "flag-heading" }, this.heading, this.badges),
      this.range.node,
      this.toUsage,
    ),
    this.body,
    this.none,
  );

  constructor(private readonly app: App) {}

  show({ path, params }: Place): void {
    const which = whichIn(path);
    const by = PARTS.find(({ value }) => value === params.get("group_by"))?.value ?? "variant";
    this.range.set(
      params.has("to")
        ? null
        : (RANGES.find(({ value }) => `-${value}` === (params.get("from") ?? "-30d"))?.value ?? null),
    );
    this.by.set(by);
    if (!which) {
      this.say("No flag has this address", "An address of a flag is /flags/customer/project/flag.");
      return;
    }
    const question = this.question(which, params);
    const asked = `${by} ${question}`;
    if (asked === this.asked) return;
    this.asked = asked;
    this.showHead(which, params);
    this.begin(which, by, question);
  }

  close(): void {
    this.end();
    this.figure.close();
  }

  private end(): void {
    for (const end of this.ends.splice(0)) end();
  }

  private question({ customer, project, flag }: Which, params: URLSearchParams): URLSearchParams {
    const question = new URLSearchParams({ customer, project, flag });
    for (const one of ["from", "to", "environment"]) {
      for (const value of params.getAll(one)) question.append(one, value);
    }
    if (!question.has("from")) question.set("from", "-30d");
    const zone = this.app.zone(params);
    if (zone) question.set("tz", zone);
    return question;
  }

  private showHead({ customer, project, flag }: Which, params: URLSearchParams): void {
    document.title = `${flag} · flagmeter`;
    const shared = changed(params, { from: null, to: null, group_by: null, environment: null });
    const crumb = (filter: Record<string, string>, text: string): HTMLElement =>
      el("a", { href: href("/flags", changed(shared, filter)) }, name(text));
    fill(
      this.crumbs,
      el("a", { href: href("/flags", shared) }, "Flags"),
      crumb({ customer }, customer),
      crumb({ customer, project }, project),
    );
    fill(this.heading, name(flag));
    this.toUsage.href = href("/usage", changed(params, { customer, project, flag, group_by: "variant" }));
  }

  private begin(which: Which, by: Part, question: URLSearchParams): void {
    this.end();
    this.colours = new Map();
    this.scene = null;
    this.hasMarks = false;
    this.mark(NO_MARKS);
    for (const [part, table] of this.tables) table.node.hidden = part === by;
    fill(this.badges);
    this.say(null);
    this.ends.push(
      follow(usage(changed(question, { group_by: by })), {
        answer: (counted) => {
          this.chart(counted);
          if (this.hasMarks) return;
          this.hasMarks = true;
          this.ends.push(this.followMarks(question));
        },
        standing: (standing) => {
          this.app.standing(standing);
          if (standing.state === "refused") this.say("No answer", standing.problem.message);
        },
      }),
      // How fresh the view is, the chart says already.
      repeat((signal) => learn(which, question, signal), REFRESH_MS, {
        answer: (known) => this.tell(which, known),
        standing: (standing) => {
          if (standing.state === "refused") this.say("No answer", standing.problem.message);
        },
      }),
      repeat((signal) => partsOf(by, question, signal), REFRESH_MS, {
        answer: (parts) => {
          for (const [part, counted] of parts) this.tables.get(part)?.show(shares(counted, part));
          this.turn.known(this.shares);
        },
        standing() {},
      }),
    );
  }

  private followMarks(question: URLSearchParams): () => void {
    const params = (): URLSearchParams | null => {
      const [from, to] = [this.scene?.edges[0], this.scene?.edges.at(-1)];
      return from === undefined || to === undefined ? null : marksOf(question, from, to);
    };
    return followMarks("/v1/bursts", params, (marks) => {
      this.mark(marks);
      this.turn.known(this.marks.node);
    });
  }

  private mark(marks: Marks): void {
    const isOwn = this.app.session()?.role === "customer";
    this.figure.mark(marks.bursts, isOwn);
    this.marks.show(marks, isOwn);
  }

  /** Says why there is nothing to see, or shows it again. */
  private say(title: string | null, why = ""): void {
    this.none.hidden = title === null;
    this.body.hidden = title !== null;
    if (title !== null) fill(this.none, el("h2", {}, title), el("p", {}, why));
  }

  private chart(usage: Usage): void {
    const scene = sceneOf(usage, Date.now(), this.colours);
    this.scene = scene;
    this.colours = coloursIn(scene);
    const { resolution, from, to, tz } = usage;
    say(this.total, totalSentence(scene));
    say(this.about, [range(resolution, from, to), tz, completeness(usage)].join(" · "));
    this.turn.known(this.chartCard);
    this.figure.show(scene, { isStacked: true });
  }

  /** Goes to another range, from what is seen. */
  private zoom(to: (seen: Seen) => Change | null): void {
    if (!this.scene) return;
    const next = to({ edges: this.scene.edges, params: rangeOf(here().params), now: Date.now() });
    if (next) change(next);
  }

  private tell({ customer, project, flag }: Which, { page, use }: Known): void {
    if (!use) {
      this.say(
        "No such flag",
        `Nobody has evaluated “${flag}” in ${project} of ${customer}, and the registry does not have it. It is here as soon as either is so.`,
      );
      this.app.standing(null);
      this.end();
      return;
    }
    const now = Date.now();
    const [judged] = judge([use], STALE_DAYS, now);
    if (!judged) return;
    const around = { page, along: "", now, staleDays: STALE_DAYS, hasOwners: true };
    fill(
      this.badges,
      ...badgesOf(judged, around).map(({ text, kind, why }) =>
        el("span", { class: `badge ${kind}`, title: why }, text),
      ),
    );
    fill(this.facts, ...facts(use, page, now));
    this.turn.known(this.facts);
  }
}

/** The range of an address, which is 30 days where it says nothing. */
function rangeOf(params: URLSearchParams): URLSearchParams {
  return params.has("from") ? params : changed(params, { from: "-30d" });
}

/** What the API and the registry say of a flag. */
async function learn(which: Which, question: URLSearchParams, signal: AbortSignal): Promise<Known> {
  const page = await ask<FlagPage>("/v1/flags", changed(question, { limit: "2" }), signal);
  const use = page.flags.find(({ flag }) => flag === which.flag) ?? null;
  return { page, use: use ?? (await anyTime(which, signal)) };
}

/** What it was evaluated to by what the chart does not tell apart. */
function partsOf(by: Part, question: URLSearchParams, signal: AbortSignal): Promise<[Part, Usage][]> {
  const others = PARTS.map(({ value }) => value).filter((part) => part !== by);
  return Promise.all(
    others.map(async (part): Promise<[Part, Usage]> => {
      return [part, await ask<Usage>("/v1/usage", changed(question, { group_by: part }), signal)];
    }),
  );
}

/** A flag that is there, but not in this environment. */
async function anyTime({ customer, project, flag }: Which, signal: AbortSignal): Promise<FlagUse | null> {
  try {
    const page = await ask<FlagPage>("/v1/flags", new URLSearchParams({ customer, project, flag }), signal);
    return page.flags[0] ?? null;
  } catch (error) {
    if (error instanceof Problem && !error.isPassing) return null;
    throw error;
  }
}

function facts(use: FlagUse, page: FlagPage, now: number): HTMLElement[] {
  const fact = (term: string, ...says: (Node | string)[]): HTMLElement =>
    el("div", {}, el("dt", {}, term), el("dd", {}, ...says));
  const registry = { true: "has it", false: "does not have it", null: "keeps no list here" }[
    String(use.in_registry)
  ];
  const owner = use.owner === undefined ? "not known" : (use.owner ?? "nobody");
  const removal =
    use.remove_by === undefined ? "not known" : use.remove_by ? day(use.remove_by) : "no day is set";
  return [
    fact("Change", growth(use.change)),
    fact("First seen", timeOf(use.first_seen, now, page)),
    fact("Last seen", timeOf(use.last_seen, now, page)),
    fact("Environments", use.environments.length > 0 ? name(use.environments.join(", ")) : "none"),
    fact("Owner", use.owner ? name(owner) : owner),
    fact("To be removed by", removal),
    fact("Registry", registry ?? "not known"),
  ];
}

/** Who has which share. */
class Shares {
  private readonly rows = el("tbody");
  readonly node: HTMLElement;

  constructor(
    private readonly part: Dimension,
    label: string,
    one: string,
  ) {
    const column = (text: string, kind = ""): HTMLElement =>
      el("th", { class: kind, attrs: { scope: "col" } }, text);
    this.node = el(
      "section",
      { class: "card", attrs: { "aria-label": label } },
      el("h2", {}, label),
      el(
        "table",
        {},
        el("caption", {}, `${label}, with their shares`),
        el(
          "thead",
          {},
          el("tr", {}, column(one, "text"), column("Share"), column("Evaluations"), column("Trend")),
        ),
        this.rows,
      ),
    );
  }

  show(groups: readonly Share[]): void {
    fill(
      this.rows,
      ...groups.map((group) => {
        return el(
          "tr",
          {},
          el("th", { class: "text", attrs: { scope: "row" } }, name(group.label)),
          el("td", {}, group.part === null ? "–" : percent(group.part)),
          el("td", {}, digits(group.total)),
          el("td", {}, spark(group.trend, `Trend of ${this.part} ${group.label}`)),
        );
      }),
    );
  }
}

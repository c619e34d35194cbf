/** Usage: what was counted, as a chart that goes on by itself, and as a table. */
import "../../styles/usage.css";
import { type Change, change, changed, href, type Place } from "../../address";
import { follow, type Standing, usage as usageOf } from "../../api/follow";
import { followMarks, type Mark, type Marks, marksOf, NO_MARKS } from "../../api/marks";
import type { Usage } from "../../api/types";
import { Figure } from "../../charts/figure";
import { MarksList } from "../../charts/marks-list";
import { type Colours, coloursIn, type Scene, sceneOf } from "../../charts/scene";
import { DataTable } from "../../charts/table";
import { bucketWords, comparison, completeness, range, total, totalSentence } from "../../charts/words";
import { eachFrame, el, fill, say } from "../../dom";
import { copyButton } from "../../parts/copy";
import { Filters } from "../../parts/filters";
import type { App, Key, View } from "../../shell/app";
import { Controls } from "./controls";
import { openEmbed } from "./embed-dialog";
import { Notices, refusal } from "./notices";
import { csv, groupBy, instant, isSame, onlyGroup, question, styled, styleOf } from "./question";
import { along, closer, farther, picked, type Seen } from "./range";
import { Steps } from "./steps";

/** Before and after a burst that one looks closer at. */
const AROUND_MINUTES = 30;

export function open(app: App): View {
  return new UsageView(app);
}

class UsageView implements View {
  readonly title = "Usage";
  private params = new URLSearchParams();
  private asked: URLSearchParams | null = null;
  private stop = (): void => {};
  private stopMarks: (() => void) | null = null;
  private usage: Usage | null = null;
  private scene: Scene | null = null;
  private colours: Colours = new Map();
  private colouredBy = "";
  private isAnnounced = false;
  private readonly steps = new Steps();
  private readonly filters = new Filters(["flag", "variant", "environment", "project", "sdk", "customer"]);
  private readonly controls = new Controls(this.filters.node);
  private readonly notices = new Notices();
  private readonly table = new DataTable();
  private readonly marks = new MarksList((mark) => this.closerTo(mark));
  private readonly figure = new Figure({
    chosen: (line) => {
      change(onlyGroup(this.params, line.group));
      // What was chosen is not there any more; the chart is.
      this.figure.focus();
    },
    picked: (first, last) => this.zoom((seen) => picked(seen, first, last)),
    zoomed: (way, bucket) => this.zoom((seen) => (way === "in" ? closer(seen, bucket) : farther(seen))),
    panned: (way) => this.zoom((seen) => along(seen, way)),
    back: () => this.back(),
  });
  private readonly least = el("span", { class: "worth" });
  private readonly sum = el("strong", { class: "number" });
  private readonly worth = el("span", { class: "worth" });
  private readonly change = el("span", { class: "badge" });
  private readonly before = el("span", { class: "quiet" });
  private readonly about = el("p", { class: "quiet about" });
  private readonly refused = el("div", { hidden: true, attrs: { role: "alert" } });
  private readonly csv = el("a", { class: "button", download: "" }, "CSV");
  private readonly embed = el("button", { type: "button" }, "Embed…");
  private readonly backButton = tool("↩", "Back to what was seen before (b)", () => this.back());
  private readonly tools = el(
    "div",
    { class: "tools-zoom", attrs: { role: "group", "aria-label": "Range of the chart" } },
    this.backButton,
    tool("‹", "Earlier ([)", () => this.zoom((seen) => along(seen, -1))),
    tool("›", "Later (])", () => this.zoom((seen) => along(seen, 1))),
    tool("−", "More time (-)", () => this.zoom(farther)),
    tool("+", "Less time (+)", () => this.zoom((seen) => closer(seen, null))),
  );
  private readonly head = el(
    "div",
    { class: "usage-head" },
    el(
      "div",
      { class: "usage-total" },
      el("p", { class: "total" }, this.least, this.sum, this.worth, this.change, this.before),
      this.about,
    ),
    this.tools,
  );
  private readonly tableSummary = el("summary", {}, "The same as a table");
  private readonly tablePlace = el("details", { class: "card as-table", hidden: true }, this.tableSummary);
  private readonly card = el("section", { class: "card usage", attrs: { "aria-label": "Counts" } });
  readonly node = el("div", { class: "usage-view" });
  private readonly draw = eachFrame(() => this.render());

  constructor(private readonly app: App) {
    const link = copyButton(
      "Copy link",
      () => location.href,
      (words) => app.announce(words),
    );
    this.embed.addEventListener("click", () => {
      if (!this.asked) return;
      const style = styleOf(this.params);
      openEmbed(this.asked, style === "lines" ? "lines" : "stacked", (words) => app.announce(words));
    });
    this.tablePlace.addEventListener("toggle", () => this.render());
    fill(this.card, this.head, this.notices.node, this.refused, this.figure.node);
    fill(
      this.node,
      el(
        "div",
        { class: "usage-top" },
        el("h1", {}, "Usage"),
        el("div", { class: "buttons" }, this.csv, link, this.embed),
      ),
      this.controls.node,
      this.card,
      this.tablePlace,
      // The last: nothing moves when there is one more.
      this.marks.node,
    );
  }

  get keys(): readonly Key[] {
    const key = (key: string, does: string, press: () => void): Key => ({ key, does, press });
    const next = (params: URLSearchParams): string | null => (params.get("compare") ? null : "previous");
    return [
      key("f", "Add a filter", () => this.filters.open()),
      key("r", "Choose a range", () => this.controls.range.open()),
      key("c", "Compare with the previous period, or not", () => change({ compare: next(this.params) })),
      key("l", "As lines", () => change(styled("lines"))),
      key("s", "Stacked", () => change(styled("stacked"))),
      key("t", "As a table", () => change(styled("table"))),
      key("v", "To the chart: then ← → read it, + - zoom, Shift ← → move", () => this.figure.focus()),
      key("+", "Less time", () => this.zoom((seen) => closer(seen, null))),
      key("-", "More time", () => this.zoom(farther)),
      key("[", "Earlier", () => this.zoom((seen) => along(seen, -1))),
      key("]", "Later", () => this.zoom((seen) => along(seen, 1))),
      key("b", "Back to what was seen before", () => this.back()),
    ];
  }

  show(place: Place): void {
    this.params = place.params;
    this.steps.come(href(place.path, place.params));
    const asked = question(place.params, this.app.zone(place.params));
    const isSameAsked = this.asked !== null && isSame(this.asked, asked, this.usage?.tz ?? null);
    this.filters.show(place.params, this.app.session());
    if (isSameAsked) this.render();
    else this.ask(asked);
    // With an answer, what is rendered has them already.
    if (!isSameAsked || !this.scene) this.showControls();
  }

  close(): void {
    this.stop();
    this.stopMarks?.();
    this.figure.close();
  }

  private ask(asked: URLSearchParams): void {
    this.stop();
    this.forgetMarks();
    const coloured = groupBy(asked);
    // A group keeps its colour while one looks closer at it.
    if (coloured !== this.colouredBy) this.colours = new Map();
    this.colouredBy = coloured;
    this.asked = asked;
    this.isAnnounced = false;
    this.node.dataset.state = "asking";
    this.csv.removeAttribute("href");
    this.stop = follow(usageOf(asked), {
      answer: (usage) => {
        this.usage = usage;
        this.scene = sceneOf(usage, Date.now(), this.colours);
        this.colours = coloursIn(this.scene);
        this.draw();
        this.stopMarks ??= this.followMarks(asked);
      },
      standing: (standing) => this.stand(standing),
    });
  }

  /** Of what is seen, wherever a relative range has moved to. */
  private followMarks(asked: URLSearchParams): () => void {
    const params = (): URLSearchParams | null => {
      const [from, to] = [this.scene?.edges[0], this.scene?.edges.at(-1)];
      return from === undefined || to === undefined ? null : marksOf(asked, from, to);
    };
    return followMarks("/v1/bursts", params, (marks) => this.mark(marks));
  }

  private mark(marks: Marks): void {
    const isOwn = this.app.session()?.role === "customer";
    this.figure.mark(marks.bursts, isOwn);
    this.marks.show(marks, isOwn);
  }

  private forgetMarks(): void {
    this.stopMarks?.();
    this.stopMarks = null;
    this.mark(NO_MARKS);
  }

  /** The address that shows it from near, with some time around it. */
  private closerTo({ since, until }: Mark): string {
    const around = (at: string, minutes: number): string =>
      instant(Math.floor(Date.parse(at) / 60_000 + minutes) * 60_000);
    const [from, to] = [around(since, -AROUND_MINUTES), until && around(until, AROUND_MINUTES)];
    return href("/usage", changed(this.params, { from, to, resolution: null }));
  }

  private stand(standing: Standing): void {
    this.app.standing(standing.state === "refused" ? null : standing);
    this.node.dataset.state = standing.state;
    const isRefused = standing.state === "refused";
    this.refused.hidden = !isRefused;
    if (standing.state !== "refused") return;
    this.usage = null;
    this.scene = null;
    this.forgetMarks();
    fill(this.refused, refusal(standing.problem, this.params));
    this.render();
  }

  private showControls(): void {
    const zone = this.usage?.tz ?? this.app.zone(this.params) ?? this.app.session()?.tz ?? browserZone();
    this.controls.show(this.params, this.app.session(), zone, this.usage);
    this.backButton.disabled = !this.steps.canGoBack;
  }

  private render(): void {
    const { scene } = this;
    const style = styleOf(this.params);
    const isTable = style === "table";
    const isRefused = this.node.dataset.state === "refused";
    if (scene || isRefused) this.node.classList.add("is-answered");
    this.head.hidden = isRefused;
    this.figure.node.hidden = isTable || isRefused;
    this.tablePlace.hidden = isTable || scene === null;
    if (isTable !== this.table.node.classList.contains("is-whole")) {
      this.table.node.classList.toggle("is-whole", isTable);
      (isTable ? this.card : this.tablePlace).append(this.table.node);
    } else if (!this.table.node.isConnected) this.tablePlace.append(this.table.node);
    this.table.node.hidden = scene === null;
    if (!scene) {
      this.notices.clear();
      this.showTotal(null);
      return;
    }
    this.showTotal(scene);
    this.notices.show(scene);
    if (!isTable) this.figure.show(scene, { isStacked: style === "stacked" });
    if (isTable || this.tablePlace.open) this.table.show(scene);
    this.csv.href = csv(this.asked ?? new URLSearchParams(), scene.usage);
    this.showControls();
    if (!this.isAnnounced) this.app.announce(totalSentence(scene));
    this.isAnnounced = true;
  }

  private showTotal(scene: Scene | null): void {
    const words = scene ? total(scene) : null;
    say(this.least, words?.before ?? "");
    say(this.sum, words?.figure ?? "–");
    say(this.worth, words?.after ?? "");
    const compared = scene ? comparison(scene) : null;
    this.change.hidden = !compared?.change;
    say(this.change, compared?.change ?? "");
    say(this.before, compared?.words ?? "");
    if (!scene) {
      say(this.about, "\u00a0");
      return;
    }
    const { resolution, from, to, tz } = scene.usage;
    const parts = [
      range(resolution, from, to),
      tz,
      `by ${bucketWords(resolution)}`,
      completeness(scene.usage),
    ];
    say(this.about, parts.filter(Boolean).join(" · "));
  }

  /** Goes to another range, from what is seen. */
  private zoom(to: (seen: Seen) => Change | null): void {
    if (!this.scene) return;
    const next = to({ edges: this.scene.edges, params: this.params, now: Date.now() });
    if (!next) return;
    this.steps.zoom();
    change(next);
  }

  private back(): void {
    if (this.steps.canGoBack) history.back();
  }
}

function browserZone(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
}

function tool(sign: string, says: string, press: () => void): HTMLButtonElement {
  const button = el(
    "button",
    { type: "button", class: "tool", title: says, attrs: { "aria-label": says.replace(/ \(.\)$/, "") } },
    sign,
  );
  button.addEventListener("click", press);
  return button;
}

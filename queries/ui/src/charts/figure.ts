/** A chart with all that belongs to it: what is pointed at, in words; the groups; and a summary for who does not see it. */
import type { Mark } from "../api/marks";
import { el, say } from "../dom";
import { digits, growth } from "../numbers";
import { day, wall } from "../time/clock";
import { Chart, type Moves } from "./chart";
import { Legend } from "./legend";
import type { Look } from "./paint";
import { type Line, lastKnown, type Scene } from "./scene";
import { bucket as bucketWhen, bucketWords, STATES, summary } from "./words";

export interface Ways extends Omit<Moves, "pointed"> {
  /** A group was chosen in the legend. */
  chosen?(line: Line): void;
}

export class Figure {
  private readonly when = el("span", { class: "when" });
  private readonly what = el("strong");
  private readonly before = el("span", { class: "quiet before" });
  private readonly unit = el("span", { class: "unit quiet" });
  private readonly nothing = el("p", { class: "nothing", hidden: true });
  private readonly summary = el("p", { id: "chart-summary", class: "spoken" });
  private readonly chart: Chart;
  private readonly legend: Legend;
  private scene: Scene | null = null;
  private frame = el("div", { class: "frame" });
  readonly node: HTMLElement;

  constructor(ways: Ways) {
    this.chart = new Chart({ ...ways, pointed: () => this.showPointed() });
    this.legend = new Legend({
      ...(ways.chosen ? { chosen: (line: Line) => ways.chosen?.(line) } : {}),
      pointed: (key) => this.chart.highlight(key),
    });
    this.frame.append(this.chart.node, this.nothing);
    this.node = el(
      "figure",
      { class: "figure", attrs: { "aria-label": "Chart", "aria-describedby": this.summary.id } },
      el("figcaption", { class: "readout" }, this.when, this.what, this.before, this.unit),
      this.frame,
      this.legend.node,
      this.summary,
    );
  }

  show(scene: Scene, look: Omit<Look, "highlighted">): void {
    this.scene = scene;
    this.chart.show(scene, { ...look, highlighted: null });
    say(this.unit, `${scene.usage.meter} per ${bucketWords(scene.usage.resolution)}`);
    say(this.summary, summary(scene));
    this.showNothing(scene);
    this.showPointed();
  }

  /** Marks these bursts and drops; to a customer, as its own. */
  mark(marks: readonly Mark[], isOwn: boolean): void {
    this.chart.mark(marks, isOwn);
  }

  close(): void {
    this.chart.close();
  }

  focus(): void {
    this.chart.node.focus();
  }

  /** What is pointed at, else the newest of which something is known: the place is never empty. */
  private showPointed(): void {
    const scene = this.scene;
    if (!scene) return;
    const pointed = this.chart.pointed();
    const at = pointed ?? lastKnown(scene);
    this.node.classList.toggle("is-pointed", pointed !== null);
    this.legend.show(scene, at);
    say(this.when, at < 0 ? "" : bucketWhen(scene, at));
    say(this.what, at < 0 ? "" : shortCount(scene, at));
    say(this.before, at < 0 ? "" : beforeWords(scene, at));
  }

  private showNothing(scene: Scene): void {
    const words = nothingWords(scene);
    this.nothing.hidden = words === "";
    say(this.nothing, words);
  }
}

function beforeWords(scene: Scene, at: number): string {
  const start = scene.startsBefore[at];
  if (start === undefined) return "";
  const before = scene.sumsBefore[at] ?? null;
  const now = scene.sums[at] ?? null;
  const isWhole = scene.states[at] === "complete" && before !== null && before > 0 && now !== null;
  const change = isWhole ? `${growth((now - before) / before)} ` : "";
  const isDays = ["1d", "1mo"].includes(scene.usage.resolution);
  const when = isDays ? day(start) : wall(start);
  return before === null ? `${when}: not known` : `${change}against ${digits(before)} (${when})`;
}

/** Its count; of what it is counted stands beside it. */
function shortCount(scene: Scene, at: number): string {
  const sum = scene.sums[at] ?? null;
  const state = scene.states[at] ?? "unknown";
  if (sum === null || state === "complete") return sum === null ? STATES[state] : digits(sum);
  return state === "open" ? `${digits(sum)} · ${STATES.open}` : `at least ${digits(sum)} · not all is known`;
}

/** Where there is nothing to see, why. */
function nothingWords(scene: Scene): string {
  const { usage, states } = scene;
  if (usage.complete_until === null)
    return "Nothing has been counted yet. As soon as an SDK sends, it is here.";
  if (states.every((state) => state === "to come")) return "This time is still to come.";
  if (usage.total !== 0) return "";
  const isAllKnown = states.every((state) => state === "complete" || state === "open" || state === "to come");
  return isAllKnown
    ? "Nothing was counted here. That is known: it is zero."
    : "Nothing was counted here, as far as is known.";
}

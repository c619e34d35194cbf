/** What is to be known beside the counts, and what can be done where there are none. */
import { type Change, change } from "../../address";
import type { Problem } from "../../api/client";
import type { Usage } from "../../api/types";
import type { Scene } from "../../charts/scene";
import { bucketWords, silence } from "../../charts/words";
import { el, fill } from "../../dom";
import { wall } from "../../time/clock";
import { coarser, groupBy, RESOLUTIONS } from "./question";
import { relativeSeconds } from "./range";

interface Way {
  label: string;
  change: Change;
}

/** What is to be known of an answer: who is silent, what is not kept any more, that nothing is known. */
export class Notices {
  /** It stays in the page, so that what is put in is read out. */
  readonly node = el("div", { class: "notices", attrs: { role: "status" } });
  private shown = "";

  show(scene: Scene): void {
    const { usage } = scene;
    const silent = silence(usage);
    const key = JSON.stringify([
      silent,
      usage.beyond_retention,
      usage.finest_kept,
      usage.resolution,
      isUnknown(scene),
    ]);
    if (key === this.shown) return;
    this.shown = key;
    fill(
      this.node,
      silent !== "" && el("p", { class: "notice" }, silent),
      usage.beyond_retention !== undefined && beyond(usage),
      usage.beyond_retention === undefined &&
        isUnknown(scene) &&
        el(
          "p",
          { class: "notice" },
          "Nothing is known of this time, which is not zero: nothing was running that counted, or it was before all records.",
        ),
    );
  }

  clear(): void {
    this.shown = "";
    fill(this.node);
  }
}

function isUnknown(scene: Scene): boolean {
  return scene.states.length > 0 && scene.states.every((state) => state === "unknown");
}

function beyond(usage: Usage): HTMLElement {
  const by = bucketWords(usage.resolution);
  const text = `From ${wall(usage.beyond_retention ?? usage.from)} on, part of it is no longer kept by ${by}. `;
  const way = keptWay(usage);
  return el("p", { class: "notice" }, text, way && `${way.words} `, way && button(way));
}

/** The way to the finest that is still there; the server knows what it keeps. */
export function keptWay({ finest_kept }: Usage): (Way & { words: string }) | null {
  const kept = RESOLUTIONS.find(({ value }) => value === finest_kept);
  if (!kept) return null;
  return {
    words: `By ${kept.label} it is still there.`,
    label: `Show by ${kept.label}`,
    change: { resolution: kept.value },
  };
}

/** Why there is no answer, and what could be asked instead. */
export function refusal(problem: Problem, params: URLSearchParams): HTMLElement {
  const ways = waysOut(problem, params);
  return el(
    "div",
    { class: "refusal" },
    el("h2", {}, problem.status === 422 ? "That is more than one answer holds" : "There is no answer"),
    el("p", {}, problem.message),
    el("div", { class: "buttons" }, ...ways.map(button)),
  );
}

/** What could be asked instead. */
export function waysOut(problem: Problem, params: URLSearchParams): Way[] {
  const ways: Way[] = [];
  const asked = params.get("resolution");
  if (problem.status === 422) {
    const seconds = secondsAsked(params);
    const next = coarser(asked ?? "10s", seconds);
    const one = RESOLUTIONS.find(({ value }) => value === next);
    if (asked && one) ways.push({ label: `By ${one.label}`, change: { resolution: one.value } });
    if (asked) ways.push({ label: "The resolution that fits", change: { resolution: null } });
    if (groupBy(params).includes(","))
      ways.push({ label: "By one thing only", change: { group_by: groupBy(params).split(",")[0] ?? null } });
    if (params.get("limit")) ways.push({ label: "The top 8", change: { limit: null } });
  }
  if (problem.parameter && params.has(problem.parameter))
    ways.push({ label: `Without ${problem.parameter}`, change: { [problem.parameter]: null } });
  ways.push({ label: "The last 24 hours", change: { from: null, to: null, resolution: null } });
  return ways;
}

/** How long the range is that was asked for, as far as the address tells. */
function secondsAsked(params: URLSearchParams): number {
  const from = params.get("from") ?? "-24h";
  const relative = relativeSeconds(from);
  const to = Date.parse(params.get("to") ?? "") || Date.now();
  const seconds = relative ?? (to - Date.parse(from)) / 1000;
  return Number.isFinite(seconds) ? seconds : 86_400;
}

function button({ label, change: next }: Way): HTMLButtonElement {
  const node = el("button", { type: "button" }, label);
  node.addEventListener("click", () => change(next));
  return node;
}

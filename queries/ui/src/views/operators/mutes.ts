/** Planned mutes: what wakes nobody, until when, and why. They are made with `flagmeter mute`. */
import { el, fill, name } from "../../dom";
import { wall } from "../../time/clock";
import { heading, Panel, scrolled } from "./panel";
import { sign } from "./picture";

export interface Mutes {
  /** Those in force and to come, and then those that are over. */
  mutes: Mute[];
}
export interface Mute {
  id: string;
  customer: string;
  /** Null for all of them, and so is the environment. */
  project: string | null;
  environment: string | null;
  state: "active" | "planned" | "over";
  /** In UTC, and so is the end. */
  from: string;
  until: string;
  reason: string;
  made_by: string;
}

/** What is said of something that is muted, where its mute is known and where it is not. */
export function mutedBy(mute: Mute | undefined): string {
  if (!mute) return "muted";
  return `muted until ${wall(mute.until)} UTC: ${mute.reason}`;
}

/**
 * Those in force, the first one to be over first, and then those to come, the first one to begin first. One that begins between
 * the two answers is in both, and in force.
 */
export function standing(active: readonly Mute[], planned: readonly Mute[]): Mute[] {
  const begun = new Set(active.map(({ id }) => id));
  const toCome = planned.filter(({ id }) => !begun.has(id));
  toCome.sort((one, other) => Date.parse(one.from) - Date.parse(other.from));
  const inForce = [...active].sort((one, other) => Date.parse(one.until) - Date.parse(other.until));
  return [...inForce, ...toCome];
}

export class MutesPanel {
  readonly panel = new Panel(
    "Planned mutes",
    "What is out of the ordinary meanwhile is kept and shown, and nobody is told.",
  );
  private readonly none = el(
    "p",
    { class: "hint", hidden: true },
    "Nothing is muted, and nothing is going to be.",
  );
  private readonly rows = el("tbody");
  private readonly table = scrolled(
    "Mutes in force and to come",
    el(
      "thead",
      {},
      el(
        "tr",
        {},
        heading("Of", "text"),
        heading("State", "text"),
        heading("From (UTC)", "text"),
        heading("Until (UTC)", "text"),
        heading("Why", "text"),
        heading("Made by", "text"),
      ),
    ),
    this.rows,
  );

  constructor() {
    this.table.hidden = true;
    fill(this.panel.body, this.none, this.table);
  }

  show(shown: readonly Mute[]): void {
    this.none.hidden = shown.length > 0;
    this.table.hidden = shown.length === 0;
    fill(this.rows, ...shown.map(rowOf));
  }
}

function rowOf(mute: Mute): HTMLTableRowElement {
  const of = el("th", { class: "text", attrs: { scope: "row" } });
  const parts = [mute.customer, mute.project, mute.environment].filter((one) => one !== null);
  for (const [place, one] of parts.entries()) of.append(place > 0 ? " › " : "", name(one));
  const [as, says] =
    mute.state === "active" ? (["ok", "in force"] as const) : (["unknown", "to come"] as const);
  const state = el("td", { class: "text with-sign" }, sign(as), ` ${says}`);
  state.dataset.state = as;
  return el(
    "tr",
    {},
    of,
    state,
    el("td", { class: "text" }, wall(mute.from)),
    el("td", { class: "text" }, wall(mute.until)),
    el("td", { class: "text" }, name(mute.reason)),
    el("td", { class: "text" }, name(mute.made_by)),
  );
}

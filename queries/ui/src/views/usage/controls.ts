/** What can be chosen of a question. Each choice is written to the address, and shown from there. */
import { type Change, change } from "../../address";
import type { Dimension, Session, Usage } from "../../api/types";
import { el, fill, say } from "../../dom";
import { choice } from "../../parts/choice";
import { groupBy, RESOLUTIONS, type Style, styled, styleOf, TOP, TOPS } from "./question";
import { RangePicker } from "./range-picker";

/** What there is to tell apart, for those who see one customer and for those who see several. */
const GROUPS: readonly Dimension[] = ["flag", "variant", "environment", "project", "sdk"];
const NAMES: Partial<Record<string, string>> = { sdk: "SDK" };

export class Controls {
  readonly range = new RangePicker();
  private readonly meter = choice(
    "Meter",
    [
      { value: "evaluations", label: "Evaluations" },
      { value: "requests", label: "Requests" },
    ],
    (meter) => change({ meter: meter === "evaluations" ? null : meter }),
  );
  private readonly style = choice<Style>(
    "Style",
    [
      { value: "lines", label: "Lines" },
      { value: "stacked", label: "Stacked" },
      { value: "table", label: "Table" },
    ],
    (style) => change(styled(style)),
  );
  private readonly groups = select("Group by", (value) => change(regrouped(value)));
  private readonly top = select("Top", (value) => change({ limit: value === TOP ? null : value }));
  private readonly resolution = select("Every", (value) =>
    change({ resolution: value === "auto" ? null : value }),
  );
  private readonly compare = el("input", { type: "checkbox", id: "compare" });
  readonly node = el("div", { class: "usage-controls" });

  /** `more` comes after all others. */
  constructor(more: Node) {
    this.compare.addEventListener("change", () =>
      change({ compare: this.compare.checked ? "previous" : null }),
    );
    const compare = el(
      "label",
      { class: "check", htmlFor: "compare" },
      this.compare,
      el("span", {}, "Previous period"),
    );
    const all = el(
      "div",
      { class: "controls", id: "usage-options" },
      this.meter.node,
      this.groups.node,
      this.top.node,
      this.resolution.node,
      this.style.node,
      compare,
    );
    fill(this.node, this.range.node, this.opener(all), all, more);
  }

  /** On a telephone the chart comes first: what is chosen rarely is there when it is asked for. */
  private opener(all: HTMLElement): HTMLButtonElement {
    const button = el(
      "button",
      { type: "button", class: "opener", attrs: { "aria-expanded": "false", "aria-controls": all.id } },
      "Options",
    );
    button.addEventListener("click", () => {
      const isOpen = this.node.classList.toggle("is-open");
      button.setAttribute("aria-expanded", String(isOpen));
    });
    return button;
  }

  show(params: URLSearchParams, session: Session | null, zone: string, usage: Usage | null): void {
    this.range.show(params, zone, usage);
    this.meter.set(params.get("meter") === "requests" ? "requests" : "evaluations");
    this.style.set(styleOf(params));
    this.compare.checked = params.get("compare") === "previous";
    this.showGroups(params, session);
    this.showResolution(params, usage);
  }

  private showGroups(params: URLSearchParams, session: Session | null): void {
    const now = groupBy(params);
    const several = session !== null && session.role !== "customer";
    const dimensions: string[] = several ? ["customer", ...GROUPS] : [...GROUPS];
    if (now && !dimensions.includes(now)) dimensions.push(now);
    const named = dimensions.map((value) => ({
      value,
      label: value
        .split(",")
        .map((one) => NAMES[one] ?? one)
        .join(", "),
    }));
    this.groups.set([{ value: "", label: "nothing" }, ...named], now);
    const limit = params.get("limit") || TOP;
    const tops = TOPS.includes(limit) ? TOPS : [...TOPS, limit];
    this.top.set(
      tops.map((value) => ({ value, label: value })),
      limit,
    );
    this.top.node.classList.toggle("is-idle", now === "");
    this.top.input.disabled = now === "";
  }

  private showResolution(params: URLSearchParams, usage: Usage | null): void {
    const asked = params.get("resolution") || "auto";
    const seconds = usage ? (Date.parse(usage.to) - Date.parse(usage.from)) / 1000 : null;
    const given = usage && asked === "auto" ? `auto: ${usage.resolution}` : "auto";
    const options = RESOLUTIONS.map(({ value, label, seconds: each }) => ({
      value,
      label,
      // More than one answer may hold.
      disabled: seconds !== null && seconds / each > 10_000 && value !== asked,
    }));
    this.resolution.set([{ value: "auto", label: given }, ...options], asked);
  }
}

/** Another dimension; without one there is no top of it. */
function regrouped(value: string): Change {
  return value ? { group_by: value } : { group_by: null, limit: null };
}

interface Choice {
  value: string;
  label: string;
  disabled?: boolean;
}

/** A list to choose from, with its name beside it. */
function select(
  label: string,
  chosen: (value: string) => void,
): { node: HTMLElement; input: HTMLSelectElement; set(options: readonly Choice[], value: string): void } {
  const id = `usage-${label.toLowerCase().replaceAll(" ", "-")}`;
  const input = el("select", { id });
  input.addEventListener("change", () => chosen(input.value));
  const node = el("label", { class: "named", htmlFor: id }, el("span", { class: "quiet" }, label), input);
  let shown = "";
  const set = (options: readonly Choice[], value: string): void => {
    const next = JSON.stringify(options.map(({ value, disabled }) => [value, disabled]));
    if (next !== shown) {
      shown = next;
      fill(
        input,
        ...options.map((one) => el("option", { value: one.value, disabled: one.disabled ?? false })),
      );
    }
    options.forEach(({ label }, at) => {
      const option = input.options[at];
      if (option) say(option, label);
    });
    input.value = value;
  };
  return { node, input, set };
}

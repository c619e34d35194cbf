/** What is looked at: customer, project, environment and, where a view has them, flag, variant and SDK. */
import { change, here } from "../address";
import { DIMENSIONS, type Dimension, type Session } from "../api/types";
import { el, fill, name } from "../dom";
import { openDialog } from "../shell/dialog";
import { names } from "./suggest";

/** So long after the last letter names are looked for. */
const TYPED_MS = 150;

/** The filters in an address, in the order of the API. */
export function filtersOf(params: URLSearchParams): [Dimension, string[]][] {
  return DIMENSIONS.map((dimension): [Dimension, string[]] => [dimension, params.getAll(dimension)]).filter(
    ([, values]) => values.length > 0,
  );
}

/** Only this value of a dimension, with all else as it is. */
export function only(dimension: Dimension, value: string | null): void {
  change({ [dimension]: value ?? "" });
}

/** The filters that are set, each with a button that takes it away, and one that adds another. */
export class Filters {
  readonly node = el("div", { class: "filters", attrs: { role: "group", "aria-label": "Filters" } });
  private session: Session | null = null;

  constructor(private readonly dimensions: readonly Dimension[]) {}

  show(params: URLSearchParams, session: Session | null): void {
    this.session = session;
    const chips = filtersOf(params).flatMap(([dimension, values]) =>
      values.map((value) => this.chip(dimension, value, values)),
    );
    const add = el("button", { type: "button", class: "quiet-button" }, "+ Filter");
    add.addEventListener("click", () => this.open());
    fill(this.node, ...chips, add);
  }

  private chip(dimension: Dimension, value: string, values: readonly string[]): HTMLElement {
    const text = value === "" ? "(none)" : value;
    const away = el(
      "button",
      { type: "button", attrs: { "aria-label": `Without the filter ${dimension} ${text}` } },
      "✕",
    );
    away.addEventListener("click", () => change({ [dimension]: values.filter((one) => one !== value) }));
    return el("span", { class: "chip" }, el("span", { class: "quiet" }, dimension), " ", name(text), away);
  }

  /** A dialog that adds a filter. */
  open(): void {
    const params = here().params;
    // Whoever sees one customer has nothing to choose there.
    const isSeen = (one: Dimension): boolean => one !== "customer" || this.session?.role !== "customer";
    const dimension = el(
      "select",
      { id: "filter-dimension" },
      ...this.dimensions.filter(isSeen).map((one) => el("option", { value: one }, one)),
    );
    const list = el("datalist", { id: "filter-values" });
    const value = el("input", {
      type: "text",
      id: "filter-value",
      autocomplete: "off",
      attrs: { list: "filter-values", spellcheck: "false" },
    });
    let stop = new AbortController();
    const suggest = async (): Promise<void> => {
      stop.abort();
      stop = new AbortController();
      const { signal } = stop;
      const chosen = dimension.value as Dimension;
      const found = await names(chosen, value.value.trim(), params, this.session, signal);
      if (!signal.aborted) fill(list, ...found.map((one) => el("option", { value: one })));
    };
    let waiting: ReturnType<typeof setTimeout> | undefined;
    value.addEventListener("input", () => {
      clearTimeout(waiting);
      if (dimension.value === "flag") waiting = setTimeout(suggest, TYPED_MS);
    });
    dimension.addEventListener("change", () => void suggest());
    void suggest();
    const form = el(
      "form",
      { method: "dialog" },
      el("label", { htmlFor: "filter-dimension" }, "What"),
      dimension,
      el("label", { htmlFor: "filter-value" }, "Its name, all of it"),
      value,
      list,
      el("div", { class: "buttons" }, el("button", { type: "submit", class: "primary" }, "Filter")),
    );
    const dialog = openDialog("Filter", form);
    value.focus();
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const chosen = dimension.value as Dimension;
      const text = value.value.trim();
      // Without a name it would take what has none, which only variants and SDKs can have not.
      if (text === "" && chosen !== "variant" && chosen !== "sdk") {
        value.setAttribute("aria-invalid", "true");
        value.focus();
        return;
      }
      dialog.close();
      change({ [chosen]: [...new Set([...params.getAll(chosen), text])] });
    });
  }
}

/** Every flag: how much it is used, and whether it is still needed. */
import "../../styles/flags.css";
import { change, here, type Place } from "../../address";
import { repeat } from "../../api/repeat";
import { el, fill, say } from "../../dom";
import { digits } from "../../numbers";
import { choice } from "../../parts/choice";
import { save } from "../../parts/csv";
import { Filters } from "../../parts/filters";
import { LongTable } from "../../parts/long-table";
import type { App, Key, View } from "../../shell/app";
import { type Around, fileOf, rangeOf, rowOf } from "./columns";
import { head, SortList, Tabs } from "./controls";
import { counts, isShown, type Judged, judge, SHOWS, type Show, search } from "./judge";
import { type Loaded, loadFlags } from "./load";
import { sorted, sortOf, sortText } from "./sort";

export function open(app: App): View {
  return new Flags(app);
}

/** What of the address is asked of the API. */
const ASKED = ["from", "to", "customer", "project", "environment", "flag"] as const;
const REFRESH_MS = 60_000;
const RANGES = ["7d", "30d", "90d"] as const;
const STALE = ["7d", "30d", "90d"] as const;
/** The address is written when typing pauses: browsers bear only so many steps. */
const TYPED_MS = 250;

/** What was shown last, and where: whoever comes back from a flag finds it as it was left. */
let left: { question: string; address: string; loaded: Loaded; y: number } | null = null;

class Flags implements View {
  readonly title = "Flags";
  readonly node: HTMLElement;
  readonly keys: readonly Key[];
  private question: string | null = null;
  private end: (() => void) | null = null;
  private loaded: Loaded | null = null;
  private around: Around | null = null;
  /** All of them, judged and in order; what of them is shown. */
  private all: readonly Judged[] = [];
  private shown: readonly Judged[] = [];
  /** What they were judged and put in order by. */
  private judged = "";
  private order = "";
  private typed = 0;
  private readonly range = choice(
    "Range",
    RANGES.map((value) => ({ value, label: value.replace("d", " days") })),
    (value) => change({ from: value === "30d" ? null : `-${value}`, to: null }),
  );
  private readonly rangeWords = el("p", { class: "hint range-words" });
  private readonly tabs = new Tabs();
  private readonly search = el("input", {
    type: "search",
    placeholder: "Search  ( / )",
    autocomplete: "off",
    attrs: { "aria-label": "Search flags by name, project or owner", spellcheck: "false" },
  });
  private readonly stale = el(
    "select",
    { id: "stale-for" },
    ...STALE.map((value) => el("option", { value }, value.replace("d", " days"))),
  );
  private readonly filters = new Filters(["customer", "project", "environment"]);
  private readonly sortList = new SortList();
  private readonly file = el("button", { type: "button", disabled: true }, "CSV");
  private readonly status = el("p", { class: "hint status", attrs: { "aria-live": "polite" } });
  private readonly table = el("table", { class: "flags", attrs: { role: "table" } });
  private readonly long: LongTable<Judged>;
  private readonly empty = el("div", { class: "empty", hidden: true });

  constructor(private readonly app: App) {
    this.table.append(el("caption", {}, "Flags"), head());
    this.long = new LongTable<Judged>(this.table, {
      row: (flag) => (this.around ? rowOf(flag, this.around) : el("tr")),
      focus: (row) => row.querySelector("a"),
      key: (flag) => flag.key,
    });
    this.long.body.setAttribute("role", "rowgroup");
    this.search.addEventListener("input", () => this.type());
    this.search.addEventListener("keydown", (event) => this.leaveSearch(event));
    this.stale.addEventListener("change", () =>
      change({ stale_for: this.stale.value === "30d" ? null : this.stale.value }),
    );
    this.file.addEventListener("click", () => this.save());
    this.keys = [
      { key: "/", does: "Search", press: () => this.search.select() },
      { key: "j", does: "The next flag; Enter opens it", press: () => this.long.move(1) },
      { key: "k", does: "The flag before", press: () => this.long.move(-1) },
    ];
    this.node = this.layout();
  }

  private layout(): HTMLElement {
    const staleFor = el(
      "span",
      { class: "stale-for" },
      el("label", { htmlFor: "stale-for" }, "Stale after"),
      this.stale,
    );
    return el(
      "section",
      { class: "flags-view", attrs: { "aria-busy": "true" } },
      el("div", { class: "view-head" }, el("h1", {}, "Flags"), this.rangeWords, this.range.node, this.file),
      this.tabs.node,
      el("div", { class: "controls" }, this.search, staleFor, this.filters.node, this.sortList.node),
      this.status,
      el("div", { class: "card flags-card" }, this.table, this.empty),
    );
  }

  show(place: Place): void {
    const { params } = place;
    const asked = this.asked(params);
    this.filters.show(params, this.app.session());
    this.range.set(rangeIn(params));
    this.stale.value = staleIn(params);
    if (this.typed === 0) this.search.value = params.get("q") ?? "";
    if (asked.toString() === this.question) {
      this.arrange();
      return;
    }
    this.question = asked.toString();
    this.ask(asked);
    this.comeBack(params);
  }

  close(): void {
    this.end?.();
    this.long.close();
    clearTimeout(this.typed);
    if (this.loaded?.isAll && this.question !== null) {
      const { question, loaded } = this;
      left = { question, loaded, address: this.address, y: scrollY };
    }
  }

  private address = "";

  private comeBack(params: URLSearchParams): void {
    if (left?.question !== this.question) return;
    this.take(left.loaded);
    if (left.address === params.toString()) scrollTo(0, left.y);
  }

  private asked(params: URLSearchParams): URLSearchParams {
    const asked = new URLSearchParams();
    for (const name of ASKED) for (const value of params.getAll(name)) asked.append(name, value);
    if (!asked.has("from")) asked.set("from", "-30d");
    const zone = this.app.zone(params);
    if (zone) asked.set("tz", zone);
    return asked;
  }

  private ask(asked: URLSearchParams): void {
    this.end?.();
    let isFirst = true;
    this.end = repeat(
      (signal) => loadFlags(asked, signal, (loaded) => isFirst && this.take(loaded)),
      REFRESH_MS,
      {
        answer: (loaded) => {
          isFirst = false;
          this.take(loaded);
        },
        standing: (standing) => {
          this.app.standing(standing);
          if (standing.state === "refused") this.refused(standing.problem.message);
        },
      },
    );
  }

  private refused(why: string): void {
    this.loaded = null;
    this.around = null;
    this.all = [];
    this.shown = [];
    this.long.set([]);
    this.file.disabled = true;
    this.node.setAttribute("aria-busy", "false");
    say(this.status, "");
    fill(this.empty, el("h2", {}, "No answer"), el("p", {}, why));
    this.empty.hidden = false;
  }

  private take(loaded: Loaded): void {
    this.loaded = loaded;
    this.judged = "";
    this.arrange();
    this.node.setAttribute("aria-busy", String(!loaded.isAll));
  }

  /** From what was loaded and what the address says to what is shown. */
  private arrange(): void {
    const { params } = here();
    this.address = params.toString();
    if (!this.loaded) return;
    const sort = sortOf(params.get("sort"));
    const days = Number.parseInt(staleIn(params), 10);
    const judged = `${days} ${along(params)}`;
    if (judged !== this.judged) this.judge(this.loaded, days, along(params));
    const order = sortText(sort);
    if (order !== this.order || judged !== this.judged) this.all = sorted(this.all, sort);
    this.order = order;
    this.judged = judged;
    this.sortList.show(sort, this.table);
    this.narrow(params);
  }

  private judge({ page, flags }: Loaded, staleDays: number, along: string): void {
    const now = Date.now();
    const until = Math.min(now, page.complete_until === null ? now : Date.parse(page.complete_until));
    const hasOwners = flags.some(({ owner }) => owner);
    this.around = { page, along, now, staleDays, hasOwners };
    this.all = judge(flags, staleDays, until);
    say(this.rangeWords, rangeOf(page));
    this.leaveOut(flags);
  }

  /** Columns that say the same of every flag are left out. */
  private leaveOut(flags: Loaded["flags"]): void {
    const more = (of: (flag: Loaded["flags"][number]) => string): boolean => new Set(flags.map(of)).size > 1;
    this.table.classList.toggle("one-customer", !more(({ customer }) => customer));
    this.table.classList.toggle(
      "one-project",
      !more(({ customer, project }) => `${customer}\u0000${project}`),
    );
    this.table.classList.toggle("no-owners", !flags.some(({ owner }) => owner));
  }

  /** Shows those of them that are searched for. */
  private narrow(params: URLSearchParams): void {
    const show = showIn(params);
    const found = search(this.all, this.search.value);
    this.shown = show === "all" ? found : found.filter((flag) => isShown(show, flag));
    this.tabs.show(show, counts(found), params);
    this.long.set(this.shown);
    this.file.disabled = this.shown.length === 0;
    this.sayHowMany(show);
  }

  private sayHowMany(show: Show): void {
    const isAll = this.loaded?.isAll ?? false;
    const total = this.all.length;
    const many = (count: number): string => `${digits(count)} ${count === 1 ? "flag" : "flags"}`;
    const known =
      this.shown.length === total ? many(total) : `${digits(this.shown.length)} of ${many(total)}`;
    say(this.status, isAll ? known : `${known} so far, more are on their way…`);
    this.empty.hidden = this.shown.length > 0 || !isAll;
    if (this.empty.hidden) return;
    const isNarrow = this.search.value.trim() !== "" || show !== "all";
    const clear = el("button", { type: "button" }, "Show all flags");
    clear.addEventListener("click", () => {
      this.search.value = "";
      change({ q: null, show: null });
    });
    fill(
      this.empty,
      el("h2", {}, isNarrow ? "No such flag" : "No flags yet"),
      el(
        "p",
        {},
        isNarrow
          ? (SHOWS.find(({ value }) => value === show)?.means ?? "")
          : "A flag is here as soon as it is evaluated, or stands in the registry.",
      ),
      isNarrow ? clear : el("span"),
    );
  }

  private type(): void {
    clearTimeout(this.typed);
    this.typed = window.setTimeout(() => {
      this.typed = 0;
      change({ q: this.search.value.trim() || null }, "replace");
    }, TYPED_MS);
    this.narrow(here().params);
    if (this.table.getBoundingClientRect().top < 0) this.table.scrollIntoView();
  }

  private leaveSearch(event: KeyboardEvent): void {
    if (event.key !== "ArrowDown" && event.key !== "Enter") return;
    event.preventDefault();
    this.long.focusAt(0);
  }

  private save(): void {
    if (!this.around) return;
    const day = new Date().toISOString().slice(0, 10);
    save(fileOf(this.shown, this.around), `flagmeter-flags-${day}.csv`);
    this.app.announce(`${digits(this.shown.length)} flags are saved as CSV.`);
  }
}

/** What of an address goes along to the page of a flag. */
function along(params: URLSearchParams): string {
  const kept = new URLSearchParams();
  for (const name of ["from", "to", "tz", "environment"]) {
    for (const value of params.getAll(name)) kept.append(name, value);
  }
  return kept.toString();
}

function showIn(params: URLSearchParams): Show {
  return SHOWS.find(({ value }) => value === params.get("show"))?.value ?? "all";
}

function staleIn(params: URLSearchParams): string {
  return STALE.find((value) => value === params.get("stale_for")) ?? "30d";
}

function rangeIn(params: URLSearchParams): (typeof RANGES)[number] | null {
  if (params.has("to")) return null;
  const from = params.get("from") ?? "-30d";
  return RANGES.find((value) => from === `-${value}`) ?? null;
}

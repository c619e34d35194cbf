/** The columns of the flags, on the screen and in the file. */
import type { FlagPage } from "../../api/types";
import { spark } from "../../charts/spark";
import { el, name } from "../../dom";
import { digits, growth, short } from "../../numbers";
import { type Cell, csv } from "../../parts/csv";
import { ago, day, span, wall } from "../../time/clock";
import type { Judged } from "./judge";
import type { SortBy } from "./sort";

/** What rows are made with. */
export interface Around {
  page: FlagPage;
  /** What goes along to the page of a flag. */
  along: string;
  now: number;
  staleDays: number;
  /** Whether anybody has an owner: where nobody has, owners are not kept, and nobody lacks one. */
  hasOwners: boolean;
}

interface Column {
  id: string;
  head: string;
  sort: SortBy | null;
  cell(flag: Judged, around: Around): (Node | string)[];
}

export const COLUMNS: readonly Column[] = [
  { id: "flag", head: "Flag", sort: "flag", cell: flagCell },
  { id: "customer", head: "Customer", sort: null, cell: ({ use }) => [name(use.customer)] },
  { id: "project", head: "Project", sort: "project", cell: ({ use }) => [name(use.project)] },
  {
    id: "environments",
    head: "Environments",
    sort: "environments",
    cell: ({ use }) => [use.environments.length > 0 ? name(use.environments.join(", ")) : "–"],
  },
  { id: "owner", head: "Owner", sort: "owner", cell: ({ use }) => [use.owner ? name(use.owner) : "–"] },
  { id: "trend", head: "Trend", sort: null, cell: trendCell },
  { id: "total", head: "Evaluations", sort: "total", cell: ({ use }) => [digits(use.total)] },
  {
    id: "change",
    head: "Change",
    sort: "change",
    cell: ({ use }) => [
      el(
        "span",
        {
          title:
            use.change === null
              ? "Nothing to compare with: not all of the days before is known"
              : `${digits(use.previous_total)} in as many days before`,
        },
        growth(use.change),
      ),
    ],
  },
  {
    id: "first_seen",
    head: "First seen",
    sort: "first_seen",
    cell: ({ use }, { now, page }) => [timeOf(use.first_seen, now, page)],
  },
  {
    id: "last_seen",
    head: "Last seen",
    sort: "last_seen",
    cell: ({ use }, { now, page }) => [timeOf(use.last_seen, now, page)],
  },
];

/** The page of a flag. */
export function flagHref({ use }: Judged, along: string): string {
  const parts = [use.customer, use.project, use.flag];
  if (parts.some((part) => part === "." || part === "..")) {
    // Addresses take these for steps upwards, however they are written.
    return `/usage?${new URLSearchParams({ customer: use.customer, project: use.project, flag: use.flag })}`;
  }
  return `/flags/${parts.map(encodeURIComponent).join("/")}${along ? `?${along}` : ""}`;
}

/** The row of a flag. Its roles are said, because on a phone it is laid out as a card. */
export function rowOf(flag: Judged, around: Around): HTMLTableRowElement {
  const cells = COLUMNS.map((column, at) => {
    const attrs = at === 0 ? { role: "rowheader", scope: "row" } : { role: "cell" };
    return el(
      at === 0 ? "th" : "td",
      { class: `of-${column.id}`, attrs: { ...attrs, "data-head": column.head } },
      ...column.cell(flag, around),
    );
  });
  return el("tr", { attrs: { role: "row" } }, ...cells);
}

function flagCell(flag: Judged, around: Around): Node[] {
  const link = el("a", { href: flagHref(flag, around.along) }, name(flag.use.flag));
  const badges = badgesOf(flag, around).map(({ text, kind, why }) =>
    el("span", { class: `badge ${kind}`, title: why }, text),
  );
  return [
    el("div", { class: "flag-name" }, link),
    ...(badges.length > 0 ? [el("div", { class: "badges" }, ...badges)] : []),
  ];
}

interface Badge {
  text: string;
  kind: "" | "warn" | "bad";
  why: string;
}

/** What is to be said of a flag, the worst first. Pure. */
export function badgesOf(flag: Judged, { staleDays, hasOwners }: Around): Badge[] {
  const { use } = flag;
  const all: [boolean, Badge][] = [
    [
      flag.isPastRemoval,
      { text: "past removal", kind: "bad", why: `It was to be removed by ${use.remove_by ?? "now"}` },
    ],
    [flag.isGhost, { text: "ghost", kind: "warn", why: "Evaluated, but not in the registry" }],
    [flag.isNever, { text: "never evaluated", kind: "warn", why: "In the registry, and never evaluated" }],
    [
      flag.isStale && !flag.isNever,
      { text: "stale", kind: "warn", why: `Not evaluated for ${staleDays} days` },
    ],
    [
      // A ghost has none either, which is the lesser trouble.
      flag.isWithoutOwner && !flag.isGhost && hasOwners,
      { text: "no owner", kind: "", why: "Nobody is named as its owner" },
    ],
  ];
  return all.filter(([holds]) => holds).map(([, badge]) => badge);
}

function trendCell({ use }: Judged, { page }: Around): Node[] {
  const known = use.trend.filter((value) => value !== null);
  const says =
    known.length === 0
      ? "Nothing is known"
      : `Trend: at most ${short(Math.max(...known))} in ${page.resolution}`;
  const open = [...page.buckets].reverse().findIndex(({ state }) => state !== "open");
  return [spark(use.trend, says, Math.max(0, open))];
}

/** How long ago, with the time itself for those who ask. */
export function timeOf(time: string | null, now: number, { tz }: { tz: string }): Node {
  if (time === null) return el("span", { class: "quiet" }, "never");
  return el("time", { dateTime: time, title: `${wall(time)} (${tz})` }, ago(time, now));
}

const HEAD = [
  "customer",
  "project",
  "flag",
  "environments",
  "owner",
  "remove_by",
  "from",
  "to",
  "total",
  "previous_total",
  "change",
  "first_seen",
  "last_seen",
  "in_registry",
  "badges",
];

/** What is shown, as a file. Pure. */
export function fileOf(flags: readonly Judged[], around: Around): string {
  const rows = flags.map((flag): Cell[] => {
    const { use } = flag;
    return [
      use.customer,
      use.project,
      use.flag,
      use.environments.join(" "),
      use.owner ?? null,
      use.remove_by ?? null,
      around.page.from,
      around.page.to,
      use.total,
      use.previous_total,
      use.change,
      use.first_seen,
      use.last_seen,
      use.in_registry,
      badgesOf(flag, around)
        .map(({ text }) => text)
        .join("; "),
    ];
  });
  return csv(HEAD, rows);
}

/** The range in words: its first day and its last. */
export function rangeOf(page: FlagPage): string {
  const last = page.buckets.at(-1)?.start ?? page.to;
  const isOfDays = page.resolution === "1d" || page.resolution === "1mo";
  const words = isOfDays ? `${day(page.from)} – ${day(last)}` : span(page.from, page.to);
  return `${words} (${page.tz})`;
}

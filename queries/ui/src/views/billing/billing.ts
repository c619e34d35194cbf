/** What is billed: the period that runs and where it leads, its hours, and the statements of this one and those before. */
import "../../styles/billing.css";
import { change, changed, type Place } from "../../address";
import { ask, Problem } from "../../api/client";
import { repeat } from "../../api/repeat";
import { Bars } from "../../charts/bars";
import { el, fill, say } from "../../dom";
import { choice } from "../../parts/choice";
import { InTurn } from "../../parts/in-turn";
import type { App, View } from "../../shell/app";
import { day, span, wall } from "../../time/clock";
import type { BilledHour } from "./amounts";
import {
  allHours,
  type Crossing,
  crossings,
  type HoursPage,
  type Statement,
  statement,
  type ToDate,
  toDate,
} from "./ask";
import { crossingsOf } from "./crossings";
import { daysOf, inZone, periodName, periodsBefore, utc } from "./days";
import { HoursTable } from "./hours-table";
import { METERS, meterCard } from "./meter";
import { StatementCard } from "./statement";
import { dayBars, hourBars } from "./usage-chart";

export function open(app: App): View {
  return new Billing(app);
}

const TO_DATE_MS = 15_000;
const HOURS_MS = 60_000;
const PERIODS = 24;
const PAGE = "100";

/** What the address asks for. */
interface Wanted {
  customer: string;
  /** The month in which the period begins; null for the one that runs. */
  period: string | null;
  meter: string;
  /** A part of the period, for its hours. */
  part: { from: string; to: string } | null;
  after: string | null;
}

/** The period that is shown, and its hours. */
interface Period {
  statement: Statement | null;
  why: string;
  /** The hours that are not final yet, or those of the part. */
  hours: readonly BilledHour[];
  page: HoursPage;
}

class Billing implements View {
  readonly title = "Billing";
  readonly keys = [];
  private asked = "";
  private askedHours = "";
  private ends: (() => void)[] = [];
  private endHours: (() => void) | null = null;
  private toDate: ToDate | null = null;
  private found: readonly Crossing[] | null = null;
  private readonly customer = el("select", { id: "billing-customer", hidden: true });
  private readonly customerLabel = el("label", { htmlFor: "billing-customer", hidden: true }, "Customer");
  private readonly period = el("select", { id: "billing-period" });
  private readonly says = el("p", { class: "hint" });
  private readonly missing = el("p", { class: "notice", hidden: true });
  private readonly meters = el("div", { class: "meters" });
  private readonly meter = choice(
    "Meter",
    Object.entries(METERS).map(([value, label]) => ({ value, label })),
    (value) => change({ meter: value === "evaluations" ? null : value, after: null }, "replace"),
  );
  private readonly chartTitle = el("h2", {}, "By day");
  private readonly back = el("button", { type: "button", class: "quiet-button", hidden: true }, "← All days");
  private readonly bars = new Bars();
  private readonly table = new HoursTable();
  private readonly statementCard = new StatementCard();
  private readonly crossed = el("div", {}, el("p", { class: "hint" }, "…"));
  private readonly none = el("section", { class: "card empty", hidden: true });
  private readonly summary = el(
    "div",
    { class: "cards" },
    el("div", {}, this.says, this.missing),
    this.meters,
  );
  private readonly crossedCard = el(
    "section",
    { class: "card", attrs: { "aria-label": "Thresholds" } },
    el("h2", {}, "Thresholds that were crossed"),
    this.crossed,
  );
  private readonly hours = this.hoursCard();
  private readonly body = el(
    "div",
    { class: "cards" },
    this.summary,
    this.hours,
    this.statementCard.node,
    this.crossedCard,
  );
  private readonly turn = new InTurn([...this.body.children]);
  private readonly periodPick = el(
    "span",
    { class: "picked", hidden: true },
    el("label", { htmlFor: "billing-period" }, "Period"),
    this.period,
  );
  readonly node: HTMLElement;

  constructor(private readonly app: App) {
    this.customer.addEventListener("change", () =>
      change({ customer: this.customer.value, period: null, from: null, to: null, after: null }),
    );
    this.period.addEventListener("change", () =>
      change({ period: this.period.value || null, from: null, to: null, after: null }),
    );
    this.back.addEventListener("click", () => change({ from: null, to: null, after: null }));
    this.node = el(
      "section",
      { class: "billing-view" },
      el(
        "div",
        { class: "view-head" },
        el("h1", {}, "Billing"),
        el("span", { class: "picked" }, this.customerLabel, this.customer),
        this.periodPick,
      ),
      this.body,
      this.none,
    );
  }

  private hoursCard(): HTMLElement {
    const legend = el(
      "p",
      { class: "key-words hint" },
      el("i", { class: "key final", attrs: { "aria-hidden": "true" } }),
      "final",
      el("i", { class: "key more", attrs: { "aria-hidden": "true" } }),
      "not final yet",
    );
    return el(
      "section",
      { class: "card", attrs: { "aria-label": "Hours of the period" } },
      el("div", { class: "view-head" }, this.chartTitle, this.back, this.meter.node),
      this.bars.node,
      legend,
      this.table.node,
    );
  }

  show({ params }: Place): void {
    const session = this.app.session();
    // Whose bills there are, the session says.
    if (!session) return;
    const ids = session.customers.map(({ id }) => id);
    this.showCustomers(ids, params.get("customer"));
    const customer = this.customer.value;
    if (!customer) {
      this.nothing("No customer", "There is no customer in the registry that this token may see.");
      return;
    }
    const [from, to] = [params.get("from"), params.get("to")];
    const wanted: Wanted = {
      customer,
      period: /^\d{4}-\d{2}$/.exec(params.get("period") ?? "")?.[0] ?? null,
      meter: params.get("meter") === "requests" ? "requests" : "evaluations",
      part: from && to && !Number.isNaN(Date.parse(from) + Date.parse(to)) ? { from, to } : null,
      after: params.get("after"),
    };
    this.meter.set(wanted.meter);
    this.back.hidden = wanted.part === null;
    if (customer !== this.asked) this.begin(wanted, params);
    else this.beginHours(wanted, params);
  }

  close(): void {
    for (const end of this.ends.splice(0)) end();
    this.endHours?.();
  }

  private showCustomers(ids: readonly string[], asked: string | null): void {
    const chosen = asked ?? this.customer.value;
    const known = asked !== null && !ids.includes(asked) ? [...ids, asked] : ids;
    fill(this.customer, ...known.map((id) => el("option", { value: id }, id)));
    this.customer.value = known.includes(chosen) ? chosen : (known[0] ?? "");
    const isOne = known.length < 2;
    this.customer.hidden = isOne;
    this.customerLabel.hidden = isOne;
  }

  private nothing(title: string, why: string): void {
    this.none.hidden = false;
    this.body.hidden = true;
    fill(this.none, el("h2", {}, title), el("p", {}, why));
  }

  private begin(wanted: Wanted, params: URLSearchParams): void {
    this.close();
    // A bill under the name of another customer would be taken for that one's.
    if (this.asked !== "") this.turn.again();
    this.asked = wanted.customer;
    this.askedHours = "";
    this.toDate = null;
    this.found = null;
    this.none.hidden = true;
    this.body.hidden = false;
    fill(this.meters);
    const { customer } = wanted;
    this.ends.push(
      repeat((signal) => toDate(customer, signal), TO_DATE_MS, {
        answer: (answer) => this.take(answer),
        standing: (standing) => {
          this.app.standing(standing);
          if (standing.state === "refused") this.nothing("No answer", standing.problem.message);
        },
      }),
      repeat((signal) => crossings(customer, signal), HOURS_MS, {
        answer: (found) => {
          this.found = found;
          this.showCrossings();
        },
        standing: (standing) => {
          if (standing.state !== "refused") return;
          fill(this.crossed, el("p", { class: "hint" }, standing.problem.message));
          this.turn.known(this.crossedCard);
        },
      }),
    );
    this.last = { wanted, params };
  }

  /** What the address asked for last. */
  private last: { wanted: Wanted; params: URLSearchParams } | null = null;

  private take(answer: ToDate): void {
    const isFirst = this.toDate === null;
    this.toDate = answer;
    if (isFirst) this.showCrossings();
    const periods = periodsBefore(answer.from, PERIODS);
    if (this.period.options.length === 0 || isFirst) {
      fill(
        this.period,
        ...periods.map((period, at) =>
          el(
            "option",
            { value: at === 0 ? "" : period },
            `${periodName(period)}${at === 0 ? ", to date" : ""}`,
          ),
        ),
      );
    }
    this.periodPick.hidden = false;
    if (this.last) this.beginHours(this.last.wanted, this.last.params);
    this.tell(answer);
    this.turn.known(this.summary);
  }

  /** By the clocks of the bill's own zone, as soon as that is known. */
  private showCrossings(): void {
    if (!this.found || !this.toDate) return;
    fill(this.crossed, crossingsOf(this.found, this.toDate.tz));
    this.turn.known(this.crossedCard);
  }

  private isToDate(): boolean {
    return (this.last?.wanted.period ?? null) === null;
  }

  private tell(answer: ToDate): void {
    this.meters.hidden = !this.isToDate();
    if (!this.isToDate()) {
      // What was said of the period that runs is not true of this one.
      say(this.says, "");
      this.missing.hidden = true;
      return;
    }
    const parts = [
      `${day(answer.from)} – ${day(inZone(Date.parse(answer.to) - 1, answer.tz))} (${answer.tz}).`,
      answer.final_until === null ? "No hour is final yet." : `Final until ${wall(answer.final_until)}.`,
      answer.complete_until === null
        ? "Until when everything is in is not known."
        : `Everything is in until ${wall(answer.complete_until)}.`,
    ];
    say(this.says, parts.join(" "));
    this.missing.hidden = answer.missing_nodes.length === 0;
    const nodes = answer.missing_nodes.map(({ node, since }) => `${node} since ${wall(since)}`);
    say(this.missing, `Edge nodes are silent, and what they received is not known: ${nodes.join("; ")}.`);
    // What somebody has opened to read stays open.
    const open = [...this.meters.querySelectorAll("details")].map((details) => details.open);
    fill(this.meters, ...answer.meters.map(meterCard));
    this.meters.querySelectorAll("details").forEach((details, at) => {
      details.open = open[at] ?? false;
    });
  }

  private beginHours(wanted: Wanted, params: URLSearchParams): void {
    this.last = { wanted, params };
    const now = this.toDate;
    if (!now) return;
    const [running = ""] = periodsBefore(now.from, 1);
    const period = wanted.period ?? running;
    this.period.value = wanted.period === running ? "" : (wanted.period ?? "");
    const asked = JSON.stringify([period, wanted, now.from]);
    if (asked === this.askedHours) return;
    this.askedHours = asked;
    this.endHours?.();
    this.tell(now);
    this.endHours = repeat((signal) => learn(wanted, period, now, signal), HOURS_MS, {
      answer: (learned) => this.draw(learned, wanted, period, params),
      standing: (standing) => {
        if (standing.state !== "refused") return;
        this.statementCard.refuse(period, standing.problem.message);
        this.turn.known(this.hours, this.statementCard.node);
      },
    });
  }

  private draw(
    { statement, why, hours, page }: Period,
    wanted: Wanted,
    period: string,
    params: URLSearchParams,
  ): void {
    const zone = statement?.tz ?? this.toDate?.tz ?? "UTC";
    const drawn = {
      meter: wanted.meter,
      zone,
      now: Date.now(),
      params,
      finalUntil: instantOf(page.final_until),
      // Of hours that are all final the answer does not say it.
      completeUntil: instantOf(page.complete_until ?? this.toDate?.complete_until ?? null),
    };
    const word = (METERS[wanted.meter] ?? wanted.meter).toLowerCase();
    if (wanted.part) {
      const { from, to } = wanted.part;
      const words = span(inZone(from, zone), inZone(to, zone));
      say(this.chartTitle, `By hour: ${words}`);
      this.bars.show(hourBars(Date.parse(from), Date.parse(to), hours, drawn), `${word} by hour, ${words}`);
    } else {
      const { from, to } = statement ?? this.toDate ?? { from: "", to: "" };
      say(this.chartTitle, "By day");
      this.bars.show(
        dayBars(daysOf(from, to, zone), statement, hours, drawn),
        `${word} by day of ${periodName(period)}`,
      );
    }
    this.table.show(page, zone, params);
    if (statement) this.statementCard.show(statement, period);
    else this.statementCard.refuse(period, why);
    if (!this.isToDate() && statement) {
      const last = inZone(Date.parse(statement.to) - 1, zone);
      say(this.says, `${day(statement.from)} – ${day(last)} (${zone}).`);
    }
    this.turn.known(this.hours, this.statementCard.node);
  }
}

/** The statement of a period, as far as there is one, and its hours. */
async function learn(wanted: Wanted, period: string, now: ToDate, signal: AbortSignal): Promise<Period> {
  const { customer, meter, part, after } = wanted;
  let why = "";
  const found = await statement(customer, period, signal).catch((error: unknown) => {
    if (!(error instanceof Problem) || error.isPassing) throw error;
    why = error.message;
    return null;
  });
  const from = part?.from ?? fullHour(found?.from ?? now.from);
  const to = part?.to ?? fullHour(found?.to ?? now.to);
  const params = new URLSearchParams({ customer, meter, from, to });
  const isOver = found?.state === "final";
  const rest = changed(params, part ? {} : { from: fullHour(found?.counted_until ?? from) });
  const [page, hours] = await Promise.all([
    ask<HoursPage>("/v1/billing/hours", changed(params, { limit: PAGE, after }), signal),
    isOver && !part ? [] : allHours(rest, signal),
  ]);
  return { statement: found, why, hours, page };
}

function instantOf(time: string | null): number | null {
  return time === null ? null : Date.parse(time);
}

/** Times of hours in UTC, down to the full one. */
function fullHour(time: string): string {
  return utc(Math.floor(Date.parse(time) / 3_600_000) * 3_600_000);
}

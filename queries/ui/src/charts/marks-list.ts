/** The bursts and drops of a chart, one by one: for keyboards, and for who does not see the chart. */
import "../styles/marks.css";
import type { Mark, Marks } from "../api/marks";
import { el, fill, name, say } from "../dom";
import { during, howMuch, SIGNS, whose } from "./marks";

export class MarksList {
  private readonly list = el("ul", { class: "marks" });
  private readonly more = el("p", { class: "hint", hidden: true });
  /** Only what changes is read out. */
  private readonly state = el("p", { class: "hint", attrs: { role: "status" } });
  readonly node = el(
    "section",
    { class: "card marks-card", hidden: true, attrs: { "aria-label": "Bursts and drops" } },
    el("h2", {}, "Out of the ordinary"),
    this.state,
    this.list,
    this.more,
  );
  private shown = "";

  /** `link` leads closer to one; null where nothing does. */
  constructor(private readonly link: (mark: Mark) => string | null) {}

  show({ bursts, more, areUnknown }: Marks, isOwn: boolean): void {
    this.node.hidden = bursts.length === 0 && !areUnknown;
    say(this.state, areUnknown ? "Bursts and drops cannot be read just now: there may be others." : "");
    this.state.hidden = !areUnknown;
    this.more.hidden = !more;
    say(this.more, `These are the last ${bursts.length}: a shorter range shows others.`);
    // Who moves along the list by keys stays where they are, and links lead to where they did.
    const next = JSON.stringify([bursts, isOwn, bursts.map((mark) => this.link(mark))]);
    if (next === this.shown) return;
    this.shown = next;
    const at = [...this.list.children].findIndex((item) => item.contains(document.activeElement));
    const focused = this.list.children[at]?.getAttribute("data-since");
    fill(this.list, ...[...bursts].reverse().map((mark) => this.item(mark, isOwn)));
    const again = focused ? this.list.querySelector(`[data-since="${CSS.escape(focused)}"] a`) : null;
    if (again instanceof HTMLElement) again.focus({ preventScroll: true });
  }

  private item(mark: Mark, isOwn: boolean): HTMLElement {
    const parts = whose(mark, isOwn).flatMap((part, at) => [at > 0 ? " › " : " of ", name(part)]);
    const what = mark.kind === "burst" ? "Burst" : "Drop";
    const says = [what, ...parts, `: ${howMuch(mark)}`];
    const href = this.link(mark);
    const sign = el("span", { class: "mark-sign", attrs: { "aria-hidden": "true" } }, SIGNS[mark.kind]);
    const item = el(
      "li",
      {},
      sign,
      el(
        "div",
        {},
        href === null ? el("span", {}, ...says) : el("a", { href }, ...says),
        " ",
        el(
          "span",
          { class: "quiet" },
          [during(mark), mark.learning && "still learning", mark.muted && "muted"]
            .filter(Boolean)
            .join(" · "),
        ),
      ),
    );
    item.dataset.since = `${mark.kind} ${mark.since} ${whose(mark, false).join(" ")}`;
    return item;
  }
}

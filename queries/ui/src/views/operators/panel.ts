/** A card with what is asked for it: it says by itself when there is no answer, and keeps what it has shown. */
import type { Standing } from "../../api/follow";
import { el, say } from "../../dom";

export class Panel {
  readonly body = el("div", { class: "panel-body" });
  readonly tools = el("div", { class: "panel-tools" });
  private readonly notice = el("p", { class: "hint panel-notice", hidden: true, attrs: { role: "status" } });
  readonly node: HTMLElement;

  constructor(title: string, hint = "") {
    this.node = el(
      "section",
      { class: "card panel", attrs: { "aria-label": title } },
      el("div", { class: "view-head" }, el("h2", {}, title), this.tools),
      hint !== "" && el("p", { class: "hint" }, hint),
      this.notice,
      this.body,
    );
  }

  standing(standing: Standing): void {
    const why = "problem" in standing ? standing.problem.message : "";
    this.notice.hidden = why === "";
    const since = standing.state === "away" ? ` Since ${new Date(standing.since).toLocaleTimeString()}.` : "";
    say(this.notice, why + since);
  }
}

/** A table that scrolls by itself where it is wider than the page. */
export function scrolled(label: string, ...content: Node[]): HTMLElement {
  return el(
    "div",
    { class: "scroll", tabIndex: 0, attrs: { role: "region", "aria-label": `${label}, a table` } },
    el("table", {}, el("caption", {}, label), ...content),
  );
}

export function heading(text: string, kind = ""): HTMLElement {
  return el("th", { class: kind, attrs: { scope: "col" } }, text);
}

/** A link under which this chart, and nothing else, is seen elsewhere for some time. */
import { send } from "../../api/client";
import { el, fill, say } from "../../dom";
import { copyButton } from "../../parts/copy";
import { openDialog } from "../../shell/dialog";

interface Embed {
  url: string;
  expires_at: string;
}

const SPANS: readonly [string, string][] = [
  ["1h", "an hour"],
  ["1d", "a day"],
  ["7d", "a week"],
  ["30d", "30 days"],
];
const MOMENT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

/** Asks for one, and shows it. */
export function openEmbed(
  question: URLSearchParams,
  style: "lines" | "stacked",
  told: (words: string) => void,
): void {
  const span = el(
    "select",
    { id: "embed-span" },
    ...SPANS.map(([value, label]) => el("option", { value }, label)),
  );
  span.value = "7d";
  const title = el("input", { type: "text", id: "embed-title", maxLength: 200, autocomplete: "off" });
  const colours = el(
    "select",
    { id: "embed-theme" },
    ...["auto", "light", "dark"].map((value) =>
      el("option", { value }, value === "auto" ? "as the reader's system" : value),
    ),
  );
  const make = el("button", { type: "submit", class: "primary" }, "Make a link");
  const made = el("div", { class: "embed-made", attrs: { "aria-live": "polite" } });
  const form = el(
    "form",
    {},
    el(
      "p",
      { class: "hint" },
      "Whoever has the link sees this chart, live, and nothing else. Relative ranges move along. The link ends with your token.",
    ),
    el("label", { htmlFor: "embed-title" }, "Title"),
    title,
    el("label", { htmlFor: "embed-span" }, "It holds for"),
    span,
    el("label", { htmlFor: "embed-theme" }, "Colours"),
    colours,
    el("div", { class: "buttons" }, make),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    make.disabled = true;
    try {
      const asked = {
        query: question.toString(),
        expires_in: span.value,
        style,
        theme: colours.value,
        ...(title.value.trim() ? { title: title.value.trim() } : {}),
      };
      const embed = await send<Embed>("POST", "/v1/embed", asked);
      if (embed) showMade(made, embed.expires_at, addressOf(embed.url, asked), title.value.trim(), told);
    } catch (error) {
      const why = error instanceof Error ? error.message : "No link was made. Try again.";
      fill(made, el("p", { class: "wrong" }, why));
    } finally {
      make.disabled = false;
    }
  });
  openDialog("Embed this chart", form, made);
  title.focus();
}

/** The address of the link, with how it is to look: that is read by the page, and is no secret. */
export function addressOf(
  url: string,
  look: { style: string; theme: string; title?: string },
  origin = location.origin,
): string {
  const address = new URL(url, origin);
  for (const name of ["style", "theme", "title"] as const) {
    const value = look[name];
    if (value && !address.searchParams.has(name)) address.searchParams.set(name, value);
  }
  return address.href;
}

function showMade(
  made: Element,
  expires: string,
  link: string,
  title: string,
  told: (words: string) => void,
): void {
  const frame = `<iframe src="${escaped(link)}" title="${escaped(title || "Usage")}" width="800" height="420" loading="lazy"></iframe>`;
  const until = el("p");
  say(until, `It holds until ${MOMENT.format(new Date(expires))}, by this browser's clock.`);
  fill(made, until, ...copied("Link", link, told), ...copied("For a page", frame, told));
}

function copied(label: string, text: string, told: (words: string) => void): Node[] {
  const id = `embed-${label.toLowerCase().replaceAll(" ", "-")}`;
  const field = el("input", { type: "text", id, readOnly: true, value: text });
  field.addEventListener("focus", () => field.select());
  return [
    el("label", { htmlFor: id }, label),
    el(
      "div",
      { class: "row" },
      field,
      copyButton("Copy", () => text, told),
    ),
  ];
}

/** Titles are somebody's words: in an attribute of markup they stay words. */
export function escaped(text: string): string {
  const names: Record<string, string> = { "&": "&amp;", '"': "&quot;", "<": "&lt;", ">": "&gt;" };
  return text.replaceAll(/[&"<>]/g, (letter) => names[letter] ?? letter);
}

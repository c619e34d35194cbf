/** Choosing the time zone. */
import { el } from "../dom";
import { choose, isZone, zones } from "../time/zone";
import { openDialog } from "./dialog";

export function openZones(current: string | null): void {
  const list = el("datalist", { id: "zones" }, ...zones().map((zone) => el("option", { value: zone })));
  const input = el("input", {
    type: "text",
    id: "zone",
    value: current ?? "",
    autocomplete: "off",
    attrs: { list: "zones", spellcheck: "false", autofocus: "", "aria-describedby": "zone-hint" },
  });
  const hint = el(
    "p",
    { id: "zone-hint", class: "hint" },
    "Days, months and all times on every view are those of this zone.",
  );
  const browser = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
  const use = (zone: string | null): void => {
    dialog.close();
    choose(zone);
  };
  const form = el(
    "form",
    { method: "dialog" },
    el("label", { htmlFor: "zone" }, "Time zone"),
    input,
    list,
    hint,
    el(
      "div",
      { class: "buttons" },
      el("button", { type: "submit", class: "primary" }, "Use it"),
      el("button", { type: "button", on: { click: () => use(browser) } }, `This browser's: ${browser}`),
      el("button", { type: "button", on: { click: () => use("UTC") } }, "UTC"),
      el("button", { type: "button", on: { click: () => use(null) } }, "The default"),
    ),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const zone =
      zones().find((one) => one.toLowerCase() === input.value.trim().toLowerCase()) ?? input.value.trim();
    if (isZone(zone)) {
      use(zone);
      return;
    }
    hint.textContent = `"${zone}" is no time zone. Names are such as Europe/Berlin or America/New_York.`;
    hint.classList.add("wrong");
    input.setAttribute("aria-invalid", "true");
    input.focus();
  });
  const dialog = openDialog("Time zone", form);
  input.select();
}

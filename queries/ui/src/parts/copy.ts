/** Taking a text along. */
import { el, say } from "../dom";
import { openDialog } from "../shell/dialog";

/** A button that copies what `text` gives; where a browser lets nothing be copied, it shows it to be copied by hand. */
export function copyButton(
  label: string,
  text: () => string,
  told: (words: string) => void,
): HTMLButtonElement {
  const button = el("button", { type: "button" }, label);
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text());
      say(button, "Copied");
      told("Copied");
      setTimeout(() => say(button, label), 1_500);
    } catch {
      // Only where the page came by https, or from this computer, may it do so by itself.
      const field = el("input", { type: "text", readOnly: true, value: text(), id: "copied" });
      openDialog(
        label,
        el("label", { htmlFor: "copied" }, "Copy it from here"),
        el("div", { class: "row" }, field),
      );
      field.select();
    }
  });
  return button;
}

/** One of several, side by side. */
import { el } from "../dom";

export interface Option<T extends string> {
  value: T;
  label: string;
}

/** A group of radio buttons; `set` shows another choice without telling anyone. */
export function choice<T extends string>(
  legend: string,
  options: readonly Option<T>[],
  chosen: (value: T) => void,
): { node: HTMLFieldSetElement; set(value: T | null): void } {
  const group = `choice-${legend.toLowerCase().replaceAll(/[^a-z]+/g, "-")}`;
  const inputs = options.map(({ value }) => el("input", { type: "radio", name: group, value }));
  inputs.forEach((input, at) => {
    const option = options[at];
    if (option) input.addEventListener("change", () => chosen(option.value));
  });
  const node = el(
    "fieldset",
    { class: "choice" },
    el("legend", { class: "spoken" }, legend),
    ...options.map(({ label }, at) => el("label", {}, inputs[at], el("span", {}, label))),
  );
  const set = (value: T | null): void => {
    for (const input of inputs) input.checked = input.value === value;
  };
  return { node, set };
}

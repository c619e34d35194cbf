/** The colours of the style sheet as a canvas takes them: as they are now, light or dark. */
import { COLOURS, REST } from "./scene";

export interface Palette {
  card: string;
  ink: string;
  quiet: string;
  grid: string;
  base: string;
  hatch: string;
  /** Of bursts and drops. */
  burst: string;
  /** Of a line's colour. */
  of(colour: number): string;
}

const NAMES = ["rest", "card", "ink", "quiet", "grid", "base", "hatch", "burst"] as const;

/**
 * Reads them where they hold. `light-dark()` is worked out only for what is a colour of an element; all are there before
 * the first is read, as each reading after a change works out the style anew.
 */
export function palette(within: HTMLElement): Palette {
  const probe = document.createElement("i");
  probe.hidden = true;
  const put = (name: string): HTMLElement => {
    const one = document.createElement("i");
    one.style.color = `var(--${name})`;
    probe.append(one);
    return one;
  };
  const groups = Array.from({ length: COLOURS }, (_, at) => put(`s${at}`));
  const named = NAMES.map((name) => [name, put(name)] as const);
  within.append(probe);
  const read = (one: HTMLElement): string => getComputedStyle(one).color;
  const colours = Object.fromEntries(named.map(([name, one]) => [name, read(one)])) as Record<
    (typeof NAMES)[number],
    string
  >;
  const ofGroups = groups.map(read);
  probe.remove();
  const { rest } = colours;
  return { ...colours, of: (colour) => (colour === REST ? rest : (ofGroups[colour] ?? rest)) };
}

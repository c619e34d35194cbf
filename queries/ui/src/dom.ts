/** Making elements. Text is only ever set as text: a name with markup in it stays a name. */

type Child = Node | string | null | undefined | false;
type Props<E> = Partial<E> & {
  attrs?: Record<string, string>;
  on?: Record<string, (event: never) => void>;
  class?: string;
};

/** An element with its properties, attributes, listeners and children. */
export function el<T extends keyof HTMLElementTagNameMap>(
  tag: T,
  props: Props<HTMLElementTagNameMap[T]> | null = null,
  ...children: Child[]
): HTMLElementTagNameMap[T] {
  const node = document.createElement(tag);
  const { attrs, on, class: classes, ...rest } = props ?? {};
  Object.assign(node, rest);
  if (classes) node.className = classes;
  for (const [name, value] of Object.entries(attrs ?? {})) node.setAttribute(name, value);
  for (const [name, listener] of Object.entries(on ?? {}))
    node.addEventListener(name, listener as EventListener);
  fill(node, ...children);
  return node;
}

const SVG = "http://www.w3.org/2000/svg";

/** The same for pictures. */
export function svg<T extends keyof SVGElementTagNameMap>(
  tag: T,
  attrs: Record<string, string | number> = {},
  ...children: Node[]
): SVGElementTagNameMap[T] {
  const node = document.createElementNS(SVG, tag) as SVGElementTagNameMap[T];
  for (const [name, value] of Object.entries(attrs)) node.setAttribute(name, String(value));
  node.append(...children);
  return node;
}

/** Puts these children in the place of those that were there. */
export function fill(node: Element, ...children: Child[]): void {
  node.replaceChildren(...children.filter((child): child is Node | string => Boolean(child) || child === ""));
}

/** Sets a text only where it differs: what is read out when it changes stays silent when it does not. */
export function say(node: Element, text: string): void {
  if (node.textContent !== text) node.textContent = text;
}

/** A name from strangers, in a direction of its own. */
export function name(text: string): HTMLElement {
  return el("bdi", { title: text }, text);
}

/** Draws at most once a frame, however often it is asked to. */
export function eachFrame(draw: () => void): () => void {
  let asked = 0;
  return () => {
    if (asked) return;
    asked = requestAnimationFrame(() => {
      asked = 0;
      draw();
    });
  };
}

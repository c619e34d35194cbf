/**
 * Parts of a view that come one after the other: each waits until it and all above it are known, so that nothing moves
 * when an answer makes one of them larger.
 */
export class InTurn {
  private readonly waiting: Set<Element>;

  constructor(private readonly parts: readonly Element[]) {
    this.waiting = new Set(parts);
    for (const part of parts) part.classList.add("waiting");
  }

  /** What they show is of something else now: they wait again. */
  again(): void {
    for (const part of this.parts) {
      this.waiting.add(part);
      part.classList.add("waiting");
    }
  }

  /** Something is known of it, or why nothing is. */
  known(...parts: readonly Element[]): void {
    for (const part of parts) this.waiting.delete(part);
    for (const part of this.parts) {
      if (this.waiting.has(part)) return;
      part.classList.remove("waiting");
    }
  }
}

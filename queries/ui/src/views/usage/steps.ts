/** The way back: which addresses one came from by zooming, so that back never leads out of the view. Pure. */

export class Steps {
  private behind: string[] = [];
  private current: string | null = null;

  /** Whether there is a way back. */
  get canGoBack(): boolean {
    return this.behind.length > 0;
  }

  /** The next address is one that was zoomed to. */
  zoom(): void {
    if (this.current !== null) this.behind.push(this.current);
  }

  /** We are at this address now. */
  come(address: string): void {
    if (this.behind.at(-1) === address && this.current !== address) this.behind.pop();
    this.current = address;
  }
}

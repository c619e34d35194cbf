/** What this browser remembers of one's choices; a browser that keeps nothing forgets them, and all else works. */

export type Choice = "theme" | "tz" | "role";

export function kept(choice: Choice): string | null {
  try {
    return localStorage.getItem(`flagmeter.${choice}`);
  } catch {
    return null;
  }
}

export function keep(choice: Choice, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(`flagmeter.${choice}`);
    else localStorage.setItem(`flagmeter.${choice}`, value);
  } catch {
    // A private window: the choice holds until the page is closed.
  }
}

/** What views are given, and what they are. */
import type { Place } from "../address";
import type { Standing } from "../api/follow";
import type { Session } from "../api/types";

/** A key that does something in a view. */
export interface Key {
  /** As `KeyboardEvent.key` says it. */
  key: string;
  /** What it does, for the help. */
  does: string;
  press(): void;
}

/** What a view may ask of the page around it. */
export interface App {
  /** Who is signed in; null until the server has said. */
  session(): Session | null;
  /** The time zone to ask with: null where the server's own choice is right. */
  zone(params: URLSearchParams): string | null;
  /** Shows in the header how fresh the view is. */
  standing(standing: Standing | null): void;
  /** Says something to those who listen to the page rather than see it. */
  announce(text: string): void;
}

/** One of the views. It reads all that it shows from the address, and writes all that is chosen there. */
export interface View {
  /** What stands in the title of the window, and is the heading. */
  readonly title: string;
  readonly node: HTMLElement;
  readonly keys: readonly Key[];
  /** Shows this place: called first, whenever the address changes, and when the session is known. */
  show(place: Place): void;
  /** Lets go of streams, timers and listeners. */
  close(): void;
}

export type Open = (app: App) => View;

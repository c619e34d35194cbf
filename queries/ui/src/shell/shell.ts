/** The page around the views: who is signed in, where one can go, how fresh it is, the keys. */
import { go, here, href, type Place } from "../address";
import { ask, Problem, send, signedOut } from "../api/client";
import type { Session } from "../api/types";
import { el, fill, say } from "../dom";
import { keep, kept } from "../kept";
import { askedZone } from "../time/zone";
import type { App, Key, View } from "./app";
import { Freshness } from "./freshness";
import { openHelp } from "./help";
import { listenForKeys } from "./keys";
import { ROUTES, type Route, routeOf } from "./routes";
import { signIn } from "./sign-in";
import { theme, turnTheme } from "./theme";
import { openZones } from "./zone-dialog";

/** Parameters that mean the same on every view, and go along from one to the next. */
const SHARED = ["customer", "project", "environment", "tz"] as const;

export class Shell implements App {
  private who: Session | null = null;
  private view: View | null = null;
  private route: Route | null = null;
  /** Whether nobody is signed in, and a token is asked for. */
  private isAsked = false;
  /** Whether no place was shown yet. */
  private isFirst = true;
  private readonly freshness = new Freshness();
  private readonly nav = el("nav", { attrs: { "aria-label": "Views" } });
  private readonly zoneButton = el("button", {
    type: "button",
    class: "quiet-button zone",
    title: "Time zone (z)",
  });
  private readonly themeButton = el("button", {
    type: "button",
    class: "quiet-button",
    title: "Light or dark (d)",
  });
  private readonly signOutButton = el(
    "button",
    { type: "button", class: "quiet-button", hidden: true },
    "Sign out",
  );
  private readonly main = el("main", { id: "main", tabIndex: -1 });
  private readonly spoken = el("p", { class: "spoken", attrs: { "aria-live": "polite" } });

  constructor(private readonly root: Element) {}

  begin(): void {
    const help = el("button", { type: "button", class: "quiet-button", title: "Keys and words (?)" }, "?");
    help.setAttribute("aria-label", "Help: keys and words");
    help.addEventListener("click", () => openHelp(this.keys(), this.places()));
    this.zoneButton.addEventListener("click", () => this.chooseZone());
    this.themeButton.addEventListener("click", () => this.turnTheme());
    this.signOutButton.addEventListener("click", () => void this.signOut());
    fill(
      this.root,
      el("a", { class: "skip", href: "#main" }, "To the content"),
      el(
        "header",
        {},
        el(
          "a",
          { class: "brand", href: "/usage", attrs: { "aria-label": "flagmeter" } },
          mark(),
          el("span", { class: "brand-name" }, "flagmeter"),
        ),
        this.nav,
        this.freshness.badge,
        el("div", { class: "tools" }, this.zoneButton, this.themeButton, help, this.signOutButton),
      ),
      this.freshness.notice,
      this.main,
      this.spoken,
    );
    this.showTools();
    listenForKeys(
      () => this.keys(),
      () => this.places(),
    );
    signedOut.addEventListener("signed-out", () =>
      this.askForToken(this.who ? "You are signed out: the token is not in force any more." : null),
    );
    this.come(here());
    void this.meet();
  }

  session(): Session | null {
    return this.who;
  }

  zone(params: URLSearchParams): string | null {
    return askedZone(params, this.who);
  }

  standing(standing: Parameters<App["standing"]>[0]): void {
    this.freshness.show(standing);
  }

  announce(text: string): void {
    say(this.spoken, text);
  }

  /** Shows this place. */
  come(place: Place): void {
    this.showNav(place);
    this.showTools();
    const route = routeOf(place.path);
    if (place.path === "/sign-in") {
      this.askForToken(null);
    } else if (!route) {
      this.leave();
      fill(
        this.main,
        el(
          "section",
          { class: "card" },
          el("h1", {}, "There is nothing here"),
          el("p", {}, el("a", { href: "/usage" }, "To the usage")),
        ),
      );
    } else if (this.view && route === this.route) {
      this.view.show(place);
    } else {
      this.open(route);
    }
    this.isFirst = false;
  }

  private open(route: Route): void {
    this.leave();
    this.route = route;
    this.view = route.open(this);
    fill(this.main, this.view.node);
    document.title = `${this.view.title} · flagmeter`;
    // Another view begins at its top, however far the one before was scrolled.
    if (!this.isFirst) scrollTo(0, 0);
    this.view.show(here());
    if (!this.isFirst) this.main.focus({ preventScroll: true });
  }

  private leave(): void {
    this.view?.close();
    this.view = null;
    this.route = null;
    this.standing(null);
  }

  /** Learns who is signed in. The views do not wait for it. */
  private async meet(): Promise<void> {
    try {
      this.who = await ask<Session>("/v1/session", new URLSearchParams());
      this.isAsked = false;
      keep("role", this.who.role);
    } catch (error) {
      // Without it the views still work; whoever is not signed in has been asked already.
      if (error instanceof Problem && error.isPassing) setTimeout(() => void this.meet(), 2_000);
      return;
    }
    this.showNav(here());
    this.showTools();
    this.view?.show(here());
  }

  private askForToken(why: string | null): void {
    if (this.main.querySelector(".sign-in")) return;
    this.leave();
    this.who = null;
    this.isAsked = true;
    this.showNav(here());
    this.showTools();
    const form = signIn(why, () => {
      // The address still says what was to be seen.
      fill(this.main);
      void this.meet();
      if (here().path === "/sign-in") go(nextOf(here().params), new URLSearchParams(), "replace");
      else this.come(here());
    });
    fill(this.main, form);
    form.querySelector("input")?.focus();
    document.title = "Sign in · flagmeter";
  }

  private async signOut(): Promise<void> {
    try {
      await send("DELETE", "/v1/session");
      keep("role", null);
      this.who = null;
      this.askForToken("You are signed out.");
    } catch (error) {
      this.announce(error instanceof Error ? error.message : "Signing out failed.");
    }
  }

  private showNav(place: Place): void {
    // Until the server has said who is signed in, it is taken to be one like the last one here: nothing moves then.
    const last = this.isAsked ? null : kept("role");
    const role = this.who?.role ?? last ?? "customer";
    const params = new URLSearchParams();
    for (const name of SHARED) for (const value of place.params.getAll(name)) params.append(name, value);
    const links = ROUTES.filter(
      (route) => route.name !== null && route.roles.some((one) => one === role),
    ).map((route) => {
      const link = el("a", { href: href(route.path, params) }, route.name);
      const isHere =
        route.matches(place.path) || (route.path === "/flags" && place.path.startsWith("/flags/"));
      if (isHere) link.setAttribute("aria-current", "page");
      return link;
    });
    fill(this.nav, ...links);
  }

  private showTools(): void {
    const zone = this.zone(here().params) ?? this.who?.tz ?? null;
    say(this.zoneButton, zone ?? "Time zone");
    this.zoneButton.setAttribute("aria-label", zone ? `Time zone: ${zone}` : "Time zone");
    const names = { auto: "◐", light: "☀", dark: "☾" };
    say(this.themeButton, names[theme()]);
    this.themeButton.setAttribute("aria-label", `Colours: ${theme() === "auto" ? "as the system" : theme()}`);
    this.signOutButton.hidden = this.who === null;
  }

  private turnTheme(): void {
    turnTheme();
    this.showTools();
    this.announce(this.themeButton.getAttribute("aria-label") ?? "");
  }

  private chooseZone(): void {
    openZones(this.zone(here().params) ?? this.who?.tz ?? null);
  }

  private keys(): readonly Key[] {
    return [
      ...(this.view?.keys ?? []),
      { key: "z", does: "Choose the time zone", press: () => this.chooseZone() },
      { key: "d", does: "Light, dark, or as the system", press: () => this.turnTheme() },
      { key: "?", does: "This help", press: () => openHelp(this.keys(), this.places()) },
    ];
  }

  private places(): readonly Key[] {
    const links = [...this.nav.querySelectorAll("a")];
    return ROUTES.flatMap((route) => {
      const link = links.find((one) => one.pathname === route.path);
      if (!route.key || !route.name || !link) return [];
      return [{ key: route.key, does: `Go to ${route.name}`, press: () => link.click() }];
    });
  }
}

/** Where to go after signing in: a path of ours, whatever the address says. */
function nextOf(params: URLSearchParams): string {
  const next = params.get("next") ?? "";
  return /^\/[a-z]/.test(next) ? next : "/usage";
}

function mark(): HTMLElement {
  return el("span", { class: "mark", attrs: { "aria-hidden": "true" } }, el("i"), el("i"), el("i"));
}

/** What nobody who looks at the page would see, and what fails a test all the same. */
import type { BrowserContext, Page } from "@playwright/test";

export class Guard {
  /** In words, each once. */
  readonly seen: string[] = [];
  private readonly allowed: RegExp[] = [];

  /** `home` is the only host that the page may ask. */
  constructor(private readonly home: string) {}

  /** Lets pass what a test brings about on purpose. */
  allow(...patterns: RegExp[]): void {
    this.allowed.push(...patterns);
  }

  watch(context: BrowserContext): void {
    context.on("page", (page) => this.watchPage(page));
    for (const page of context.pages()) this.watchPage(page);
  }

  private watchPage(page: Page): void {
    page.on("console", (message) => {
      // A broken content security policy is told as an error as well.
      if (message.type() === "error" || message.type() === "warning") {
        this.note(`console ${message.type()}: ${message.text()} ${message.location().url}`);
      }
    });
    page.on("pageerror", (error) => this.note(`uncaught: ${error.message}`));
    page.on("dialog", (dialog) => {
      this.note(`dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    page.on("request", (request) => {
      const url = request.url();
      if (!url.startsWith(this.home) && !/^(blob|data|about):/.test(url)) this.note(`strange host: ${url}`);
      if (/fm_[0-9a-f]{8}/.test(url)) this.note(`a token in an address: ${url}`);
    });
  }

  private note(what: string): void {
    if (this.allowed.some((pattern) => pattern.test(what)) || this.seen.includes(what)) return;
    this.seen.push(what);
  }
}

/** What the browser itself says of a server that is away. */
export const AWAY =
  /Failed to load resource: net::ERR_(CONNECTION_REFUSED|INCOMPLETE_CHUNKED_ENCODING|CONNECTION_RESET|EMPTY_RESPONSE|INTERNET_DISCONNECTED|NETWORK_CHANGED|ABORTED|SOCKET_NOT_CONNECTED)|net::ERR_/;

/** What it says of an answer with this status. */
export function status(code: number): RegExp {
  return new RegExp(`the server responded with a status of ${code}`);
}

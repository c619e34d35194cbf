import "./styles/page.css";
import { here, listen, onPlace } from "./address";
import { begin } from "./api/early";
import { addressOf, usage } from "./api/follow";
import { el, fill } from "./dom";
import { askedZone } from "./time/zone";
import { question } from "./views/usage/question";

// The server works on the first answer while the browser is still at the rest of the page. Who opens another view does
// not ask for this one.
const { path, params } = here();
if (path === "/" || path === "/usage") begin(addressOf(usage(question(params, askedZone(params, null)))));

const root = document.getElementById("page");
if (root) void open(root);

async function open(root: HTMLElement): Promise<void> {
  try {
    const { Shell } = await import("./shell/shell");
    const shell = new Shell(root);
    listen();
    onPlace((place) => shell.come(place));
    shell.begin();
  } catch (error) {
    const again = el("button", { type: "button", class: "primary" }, "Load the page anew");
    again.addEventListener("click", () => location.reload());
    const why = "The page could not be loaded: the server is away, or there is a newer version of it.";
    fill(root, el("main", { class: "card" }, el("h1", {}, "Not loaded"), el("p", {}, why), again));
    throw error;
  }
}

/** Signing in with a token. It goes into a cookie that no script can read, and is kept nowhere else. */
import { Problem, send } from "../api/client";
import { el, say } from "../dom";

/** The form. `done` is called when the server has taken the token. */
export function signIn(why: string | null, done: () => void): HTMLElement {
  const token = el("input", {
    type: "password",
    id: "token",
    name: "token",
    required: true,
    autocomplete: "current-password",
    attrs: { spellcheck: "false", autofocus: "", "aria-describedby": "token-hint token-wrong" },
  });
  const wrong = el("p", { id: "token-wrong", class: "wrong", attrs: { role: "alert" } }, why ?? "");
  const button = el("button", { type: "submit", class: "primary" }, "Sign in");
  const form = el(
    "form",
    { class: "card sign-in", method: "post", action: "/v1/session" },
    el("h1", {}, "Sign in"),
    el("label", { htmlFor: "token" }, "Token"),
    el("div", { class: "row" }, token, button),
    wrong,
    el(
      "p",
      { id: "token-hint", class: "hint" },
      "A token of yours begins with fm_. Whoever runs flagmeter makes one with ",
      el("code", {}, "flagmeter token create"),
      ". It reads, and changes nothing; this browser keeps it where no script can read it.",
    ),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    try {
      await send("POST", "/v1/session", { token: token.value.trim() });
      done();
    } catch (error) {
      const refused = error instanceof Problem && error.status === 401;
      say(
        wrong,
        refused
          ? "That token is not in force here. Look whether all of it was pasted, or ask for a new one."
          : reason(error),
      );
      token.setAttribute("aria-invalid", "true");
      token.select();
    } finally {
      button.disabled = false;
    }
  });
  return form;
}

function reason(error: unknown): string {
  return error instanceof Problem ? error.message : "Signing in failed. Try again.";
}

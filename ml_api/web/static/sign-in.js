/** The dialog that asks for an API key. All whom the API refuses wait for it together. */

import { signIn } from "./api.js";
import { find } from "./element.js";
import { Failure } from "./failures.js";

export class SignIn {
  #dialog;
  #wrong;
  /** @type {Promise<boolean> | null} */
  #asking = null;

  /** @param {HTMLDialogElement} dialog */
  constructor(dialog) {
    this.#dialog = dialog;
    this.#wrong = find(dialog, "[role=alert]", HTMLElement);
    find(dialog, "form", HTMLFormElement).addEventListener("submit", (event) => this.#submit(event));
  }

  /**
   * @param {string} why what the API said of the key that it was given, if it was
   * @returns {Promise<boolean>} whether the visitor has signed in
   */
  ask(why) {
    this.#asking ??= new Promise((resolve) => {
      this.#dialog.addEventListener(
        "close",
        () => {
          this.#asking = null;
          resolve(this.#dialog.returnValue === "signed in");
        },
        { once: true },
      );
      this.#dialog.returnValue = "";
      this.#wrong.textContent = why;
      this.#dialog.showModal();
    });
    return this.#asking;
  }

  /** @param {Event} event */
  async #submit(event) {
    event.preventDefault();
    const key = find(this.#dialog, "input", HTMLInputElement);
    try {
      await signIn(key.value);
      key.value = "";
      this.#dialog.close("signed in");
    } catch (failure) {
      this.#wrong.textContent = failure instanceof Failure ? failure.said || failure.message : String(failure);
      key.select();
    }
  }
}

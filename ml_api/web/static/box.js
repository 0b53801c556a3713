/** The search box: a text, or the image that is searched with. */

/** @import { Query } from "./query.js" */

export class Box {
  #input;
  #token;
  #picture;

  /**
   * @param {HTMLFormElement} form
   * @param {{onText: (text: string) => void, onClear: () => void}} page
   */
  constructor(form, { onText, onClear }) {
    this.#input = form.querySelector("input[type=search]");
    this.#token = form.querySelector(".token");
    this.#picture = this.#token.querySelector("img");
    this.#picture.addEventListener("error", () => this.#drop());
    this.#token.querySelector("button").addEventListener("click", () => {
      onClear();
      this.#input.focus();
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const text = this.#input.value.trim();
      if (text) {
        this.#yieldScreen();
        onText(text);
      } else {
        this.#input.focus();
      }
    });
  }

  /** Ready to type, where that does not raise a keyboard over the page. */
  invite() {
    if (matchMedia("(hover: hover)").matches) {
      this.#input.focus();
    }
  }

  /** @param {Query | null} query */
  show(query) {
    this.#drop();
    this.#input.value = query?.text ?? "";
    this.#input.placeholder = query && !query.text ? "Describe another image" : "Describe an image";
    if (query?.file) {
      this.showImage(URL.createObjectURL(query.file), query.file.name);
    }
  }

  /**
   * @param {string} source
   * @param {string} name
   */
  showImage(source, name) {
    this.#picture.src = source;
    this.#picture.alt = `Searching with ${name}`;
    this.#token.hidden = false;
  }

  #drop() {
    this.#token.hidden = true;
    URL.revokeObjectURL(this.#picture.src); // of a stored image's address this does nothing
    this.#picture.removeAttribute("src");
  }

  /** A phone's keyboard would cover what is found. */
  #yieldScreen() {
    if (matchMedia("(hover: none)").matches) {
      this.#input.blur();
    }
  }
}

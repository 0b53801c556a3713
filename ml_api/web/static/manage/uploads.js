/** Adding images to the corpus: each file with its own progress, and what a sync is doing meanwhile. */

import { element, find } from "../element.js";
import { inOneLine, problemOf } from "../failures.js";
import { pause } from "../pause.js";
import { progressOf, resultOf, startSync, syncNow } from "./syncs.js";

const AT_ONCE = 2;
const WAIT_S = 20; // for the index to follow, before the answer
const PATIENCE_MS = 30_000; // longer than that wait
const SYNC_EVERY_MS = 1000;

/** @typedef {{text: string, said?: string, wrong?: boolean, again?: boolean}} Outcome said: in the server's own words; again: sent once more, it may well be taken */
/** @typedef {{key: string, file: File, row: ReturnType<typeof rowOf>}} Upload */
/** @typedef {{id: string, key: string, state: string, unchanged: boolean}} Uploaded */

export class Uploads {
  #dialog;
  #list;
  #onChange;
  /** @type {Upload[]} */
  #waiting = [];
  /** @type {Upload[]} */
  #failed = []; // that can be sent again
  #running = 0;
  #ended = { all: 0, wrong: 0 };
  #following = false;

  /**
   * @param {HTMLDialogElement} dialog
   * @param {() => void} onChange called when images were added
   */
  constructor(dialog, onChange) {
    this.#dialog = dialog;
    this.#list = find(dialog, ".files-sent", HTMLElement);
    this.#onChange = onChange;
    const input = find(dialog, "input[type=file]", HTMLInputElement);
    find(dialog, ".choose-files", HTMLButtonElement).addEventListener("click", () => input.click());
    input.addEventListener("change", () => {
      this.#add([...(input.files ?? [])]);
      input.value = "";
    });
    dialog.addEventListener("dragover", (event) => event.preventDefault());
    dialog.addEventListener("drop", (event) => {
      event.preventDefault();
      this.#add([...(event.dataTransfer?.files ?? [])]);
    });
    find(dialog, ".close", HTMLButtonElement).addEventListener("click", () => dialog.close());
    find(dialog, ".send-again", HTMLButtonElement).addEventListener("click", () => this.#sendAgain());
    find(dialog, ".start-sync", HTMLButtonElement).addEventListener("click", () => this.#sync());
    window.addEventListener("beforeunload", (event) => this.#running > 0 && event.preventDefault()); // what is on its way would be lost
  }

  open() {
    this.#dialog.showModal();
    this.#follow();
  }

  /** @param {File[]} files */
  #add(files) {
    const folder = find(this.#dialog, "[name=folder]", HTMLInputElement).value.trim().replace(/^\/+|\/+$/g, "");
    for (const file of files) {
      const row = rowOf(file.name);
      this.#list.append(row.element);
      this.#waiting.push({ key: folder ? `${folder}/${file.name}` : file.name, file, row });
    }
    this.#count();
    this.#go();
  }

  /** What the server did not take for a reason of its own. */
  #sendAgain() {
    for (const { row } of this.#failed) {
      row.begin();
    }
    this.#ended.all -= this.#failed.length;
    this.#ended.wrong -= this.#failed.length;
    this.#waiting.push(...this.#failed.splice(0));
    this.#count();
    this.#go();
    find(this.#dialog, ".choose-files", HTMLButtonElement).focus(); // the button that had it is gone
  }

  /**
   * @param {Upload} upload
   * @param {Outcome} outcome
   */
  #end(upload, outcome) {
    const { row } = upload;
    row.end(outcome);
    this.#ended.all += 1;
    if (outcome.again) {
      this.#failed.push(upload);
    }
    if (outcome.wrong) {
      this.#ended.wrong += 1;
      this.#list.insertBefore(row.element, this.#list.querySelector(":scope > :not(.wrong)")); // what needs somebody is not looked for among all the others
    }
    this.#count();
  }

  /** For whoever added more files than the list shows at once, and instead of reading all of it out. */
  #count() {
    const { all, wrong } = this.#ended;
    const files = this.#list.children.length;
    const told = `${all - wrong} of ${files} added${wrong > 0 ? `, ${wrong} not` : ""}`;
    find(this.#dialog, ".sent", HTMLElement).textContent = files > 0 ? told : "";
    find(this.#dialog, ".send-again", HTMLElement).hidden = this.#failed.length === 0;
  }

  #go() {
    for (let next; this.#running < AT_ONCE && (next = this.#waiting.shift()); ) {
      const upload = next;
      this.#running += 1;
      this.#send(upload).then((outcome) => this.#end(upload, outcome)).finally(() => {
        this.#running -= 1;
        if (this.#running === 0 && this.#waiting.length === 0) {
          this.#onChange();
        }
        this.#go();
      });
    }
  }

  /**
   * @param {Upload} upload
   * @returns {Promise<Outcome>} what became of it
   */
  #send({ key, file, row }) {
    const request = new XMLHttpRequest(); // fetch does not tell how much has been sent
    const telling = setTimeout(() => row.waits(), PATIENCE_MS);
    const path = key.split("/").map(encodeURIComponent).join("/");
    request.open("PUT", `v1/images/by-key/${path}?wait=${WAIT_S}`);
    request.responseType = "json";
    request.upload.addEventListener("progress", ({ loaded, total }) => row.sent(total > 0 ? loaded / total : 0));
    request.send(file);
    return new Promise((resolve) => {
      request.addEventListener("loadend", () => clearTimeout(telling));
      request.addEventListener("load", () => resolve(outcomeOf(request)));
      request.addEventListener("error", () => resolve({ text: "The server does not answer", wrong: true, again: true }));
    });
  }

  async #sync() {
    try {
      await startSync();
      this.#follow();
    } catch (failure) {
      this.#tell(inOneLine(failure));
    }
  }

  /** Tells what the sync does as long as one runs and somebody looks. */
  async #follow() {
    if (this.#following) {
      return;
    }
    this.#following = true;
    try {
      for (let wasActive = false; this.#dialog.open; wasActive = true) {
        const { active, last } = await syncNow();
        this.#tell(active ? progressOf(active) : resultOf(last));
        if (!active) {
          if (wasActive) {
            this.#onChange();
          }
          return;
        }
        await pause(SYNC_EVERY_MS);
      }
    } catch (failure) {
      this.#tell(inOneLine(failure));
    } finally {
      this.#following = false;
    }
  }

  /** @param {string} text */
  #tell(text) {
    find(this.#dialog, ".sync-state", HTMLElement).textContent = text;
  }
}

/** @param {XMLHttpRequest} request */
function outcomeOf({ status, response }) {
  if (status >= 400) {
    const failure = problemOf(response ?? { detail: "", code: "" }, status, "");
    return { text: inOneLine(failure), said: failure.said, wrong: true, again: !failure.final };
  }
  const { state, unchanged } = /** @type {Uploaded} */ (response);
  switch (state) {
    case "searchable":
      return { text: unchanged ? "Was there already" : "Can be found" };
    case "queued":
      return { text: "Stored; can be found soon" };
    case "superseded":
      return { text: "Another upload took its place" };
    default:
      return { text: "Stored, but the model cannot read it", wrong: true };
  }
}

/** @param {string} name of the file */
function rowOf(name) {
  const bar = element("progress");
  bar.max = 1;
  bar.value = 0;
  bar.ariaLabel = `Progress of ${name}`;
  const state = element("span", "Waiting");
  state.className = "state";
  const label = element("span", name);
  label.className = "file-name";
  const row = element("li", label, bar, state);
  return {
    element: row,
    /** Once more. */
    begin() {
      row.classList.remove("wrong");
      bar.value = 0;
      label.after(bar);
      state.textContent = "Waiting";
    },
    /** @param {number} share */
    sent(share) {
      bar.value = share;
      state.textContent = share < 1 ? `${Math.round(share * 100)} %` : "Indexing…";
    },
    /** The answer takes longer than it should; the request goes on. */
    waits() {
      state.textContent = "Still waiting for the server…";
    },
    /** @param {Outcome} outcome */
    end({ text, said, wrong }) {
      bar.remove();
      state.replaceChildren(text, ...(said ? [element("details", element("summary", "Details"), element("p", said))] : []));
      row.classList.toggle("wrong", wrong === true);
    },
  };
}

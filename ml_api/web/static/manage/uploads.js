/** Adding images to the corpus: each file with its own progress, and what a sync is doing meanwhile. */

import { find } from "../element.js";
import { inOneLine } from "../failures.js";
import { pause } from "../pause.js";
import { put } from "./put.js";
import { rowOf } from "./row.js";
import { progressOf, resultOf, startSync, syncNow } from "./syncs.js";

const AT_ONCE = 2;
const SYNC_EVERY_MS = 1000;

/** @import { Upload } from "./put.js" */
/** @import { Outcome } from "./row.js" */

export class Uploads {
  #dialog;
  #list;
  #onChange;
  /** @type {Upload[]} */
  #waiting = [];
  /** @type {Upload[]} */
  #failed = []; // that can be sent again
  /** @type {Upload[]} */
  #taken = []; // whose names other pictures have, until somebody says what to do
  /** @type {((upload: Upload) => void) | null} */
  #forAll = null; // what was said of all of them, as long as files are on their way
  #running = 0;
  #ended = { added: 0, there: 0, wrong: 0 };
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
    find(dialog, ".keep-all", HTMLButtonElement).addEventListener("click", () => this.#decideAll(keepBoth));
    find(dialog, ".replace-all", HTMLButtonElement).addEventListener("click", () => this.#decideAll(replace));
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
      const isAlone = files.every((other) => other === file || other.name !== file.name);
      this.#waiting.push({ folder, file, row, number: 1, bothAreKept: !isAlone }); // whoever chose both of a name wants both
    }
    this.#count();
    this.#go();
  }

  /** What the server did not take for a reason of its own. */
  #sendAgain() {
    this.#ended.wrong -= this.#failed.length;
    this.#sendOnce(this.#failed.splice(0));
    find(this.#dialog, ".choose-files", HTMLButtonElement).focus(); // the button that had it is gone
  }

  /** @param {Upload[]} uploads */
  #sendOnce(uploads) {
    uploads.forEach(({ row }) => row.begin());
    this.#waiting.push(...uploads);
    this.#count();
    this.#go();
  }

  /**
   * @param {Upload} upload
   * @param {Outcome | "taken"} outcome
   */
  #end(upload, outcome) {
    if (outcome === "taken") {
      this.#ask(upload);
    } else {
      upload.row.end(outcome);
      this.#ended[outcome.wrong ? "wrong" : outcome.was ? "there" : "added"] += 1;
      if (outcome.again) {
        this.#failed.push(upload);
      }
      if (outcome.wrong) {
        this.#lift(upload);
      }
    }
    this.#count();
  }

  /**
   * What to do about the picture that has its name, unless that was said of all, and of this one not yet: what is there now was not
   * there then.
   * @param {Upload} upload
   */
  #ask(upload) {
    if (this.#forAll && !upload.isDecided) {
      this.#decide([upload], this.#forAll);
      return;
    }
    this.#taken.push(upload);
    /** @param {(upload: Upload) => void} decision */
    const decide = (decision) => {
      this.#decide([upload], decision);
      find(this.#dialog, this.#taken.length > 0 ? ".files-sent .taken button" : ".choose-files", HTMLButtonElement).focus(); // the button that had it is gone
    };
    upload.row.end({
      text: "Another picture of this name is there already",
      taken: { onBoth: () => decide(keepBoth), onReplace: () => decide(replace) },
    });
    this.#lift(upload);
  }

  /**
   * @param {Upload[]} uploads
   * @param {(upload: Upload) => void} decision
   */
  #decide(uploads, decision) {
    this.#taken = this.#taken.filter((upload) => !uploads.includes(upload));
    for (const upload of uploads) {
      upload.isDecided = true;
      decision(upload);
    }
    this.#sendOnce(uploads);
  }

  /**
   * Of those that are on their way, too.
   * @param {(upload: Upload) => void} decision
   */
  #decideAll(decision) {
    this.#forAll = decision;
    this.#decide(this.#taken, decision);
    find(this.#dialog, ".choose-files", HTMLElement).focus(); // the button that had it is gone
  }

  /**
   * What needs somebody is not looked for among all the others.
   * @param {Upload} upload
   */
  #lift({ row }) {
    this.#list.insertBefore(row.element, this.#list.querySelector(":scope > :not(.wrong, .taken)"));
  }

  /** For whoever added more files than the list shows at once, and instead of reading all of it out. */
  #count() {
    const { added, there, wrong } = this.#ended;
    const files = this.#list.children.length;
    const taken = this.#taken.length;
    const names = taken === 1 ? "1 name is taken" : `${taken} names are taken`;
    const others = [there > 0 && `${there} there already`, wrong > 0 && `${wrong} not`, taken > 0 && names].filter(Boolean);
    find(this.#dialog, ".sent", HTMLElement).textContent = files > 0 ? [`${added} of ${files} added`, ...others].join(", ") : "";
    find(this.#dialog, ".for-all", HTMLElement).hidden = taken < 2;
    find(this.#dialog, ".send-again", HTMLElement).hidden = this.#failed.length === 0;
  }

  #go() {
    for (let next; this.#running < AT_ONCE && (next = this.#waiting.shift()); ) {
      const upload = next;
      this.#running += 1;
      put(upload).then((outcome) => this.#end(upload, outcome)).finally(() => {
        this.#running -= 1;
        if (this.#running === 0 && this.#waiting.length === 0) {
          this.#forAll = null;
          this.#onChange();
        }
        this.#go();
      });
    }
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

/** @param {Upload} upload */
function keepBoth(upload) {
  upload.bothAreKept = true;
  upload.number += 1;
}

/** @param {Upload} upload what it has seen is replaced */
function replace(upload) {
  upload.bothAreKept = false;
}

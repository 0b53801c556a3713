/** The first view, before anything is searched for: some of the images or, while there are none, how they get in; and how far a sync is. */

import { element, find } from "./element.js";
import { Failure, inOneLine } from "./failures.js";
import { countImages } from "./frame.js";
import { Glimpse } from "./glimpse.js";
import { nameOf, progressOf, startSync, SYNC, syncNow } from "./manage/syncs.js";
import { pause } from "./pause.js";

/** @import { Rights } from "./frame.js" */
/** @import { SyncJob } from "./manage/syncs.js" */

const PAUSE_MS = 2000;

export class Home {
  #section;
  #glimpse;
  /** @type {Promise<Rights>} */
  #rights = new Promise(() => undefined);
  #images = 0;
  #isSeen = false;
  #isWatching = false;
  /** The kind of what was under way at the last look; empty if nothing was. */
  #kind = "";
  /** A sync was started since the last look began, however soon it ends. */
  #isStarted = false;

  /** @param {HTMLElement} section */
  constructor(section) {
    this.#section = section;
    this.#glimpse = new Glimpse(find(section, ".glimpse", HTMLElement));
    find(section, ".start-sync", HTMLButtonElement).addEventListener("click", () => this.#start());
  }

  /** It is in sight now. */
  show() {
    this.#isSeen = true;
    this.#fill();
  }

  /** @param {Promise<Rights>} rights that the visitor has from now on */
  follow(rights) {
    this.#rights = rights;
    this.watch();
  }

  /** Looks how many images there are, again and again while there are none or a sync runs. */
  async watch() {
    if (!this.#isWatching) {
      this.#isWatching = true;
      while (await this.#look()) {
        await pause(PAUSE_MS);
      }
      this.#isWatching = false;
    }
  }

  /** @returns {Promise<boolean>} whether to look again */
  async #look() {
    if (this.#isStarted) {
      [this.#kind, this.#isStarted] = [SYNC, false];
    }
    const before = this.#kind;
    try {
      this.#images = await countImages();
      if (this.#images === 0) {
        this.#glimpse.settle();
      }
      const { syncs } = await this.#rights; // after counting, for which a visitor without a key is asked
      const { active, last } = syncs ? await syncNow() : { active: null, last: undefined };
      this.#tell(active);
      const hasEnded = before !== "" && active === null;
      if (hasEnded) {
        this.#images = await countImages(); // with what it added last
        this.#say(this.#images > 0 || before !== SYNC ? "" : last?.error || "No images were found there.");
      }
      this.#fill(hasEnded);
      this.#kind = active?.kind ?? "";
      return this.#images === 0 || this.#kind !== "" || this.#isStarted;
    } catch (failure) {
      this.#glimpse.settle();
      return failure instanceof Failure && !failure.wantsKey; // the server is away, and may come back
    }
  }

  async #start() {
    try {
      await startSync();
      this.#say("");
      this.#isStarted = true;
    } catch (failure) {
      this.#say(inOneLine(failure));
    }
  }

  /** @param {boolean} [isAnew] there may be others than before */
  #fill(isAnew) {
    if (this.#isSeen && this.#images > 0) {
      this.#glimpse.show(isAnew);
    }
  }

  /** @param {SyncJob | null} job */
  #tell(job) {
    const place = find(this.#section, ".indexing", HTMLElement);
    place.hidden = job === null;
    if (job) {
      const bar = element("progress");
      bar.ariaLabel = nameOf(job);
      if (job.total > 0) {
        [bar.max, bar.value] = [job.total, job.done];
      }
      place.replaceChildren(progressOf(job), bar);
    }
  }

  /** @param {string} text */
  #say(text) {
    find(this.#section, ".sync-state", HTMLElement).textContent = text;
  }
}

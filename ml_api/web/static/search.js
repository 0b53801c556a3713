/** One search at a time: ask, show, go on. A new one aborts the one before it. */

import { Failure, search, stats } from "./api.js";
import { nameOf } from "./query.js";
import { shrink } from "./shrink.js";

/** @import { Answer, Image } from "./api.js" */
/** @import { Query } from "./query.js" */
/** @import { Results, Summary } from "./results.js" */

const SKELETON_AFTER_MS = 150; // what comes sooner needs no announcement
const REMEMBERED = 20;

export class Search {
  #results;
  #limits;
  /** @type {Map<string, Answer>} by query, so that going back shows what was there at once, with all its pages */
  #answers = new Map();
  #running = new AbortController();
  /** @type {Query | null} */
  #query = null;
  #isLoadingMore = false;

  /**
   * @param {Results} results
   * @param {{maxBytes: number, modelEdge: number}} limits of an image; a server that refuses a larger body may hang up before it says why
   */
  constructor(results, limits) {
    this.#results = results;
    this.#limits = limits;
  }

  /** @returns {Image[]} */
  get hits() {
    return this.#answers.get(nameOf(this.#query))?.hits ?? [];
  }

  /** Nothing is searched for. */
  stop() {
    this.#begin(null);
    this.#results.clear();
  }

  /**
   * @param {Query} query
   * @param {{fresh?: boolean}} [how] fresh: even if the answer is remembered
   */
  async run(query, { fresh = false } = {}) {
    const signal = this.#begin(query);
    const remembered = this.#answers.get(nameOf(query));
    if (remembered && !fresh) {
      this.#show(remembered);
      return;
    }
    const waiting = setTimeout(() => this.#results.wait(), SKELETON_AFTER_MS);
    try {
      const answer = await search(await this.#sendable(query), 0, signal);
      if (answer.hits.length === 0) {
        throw await absence();
      }
      this.#remember(query, answer);
      this.#show(answer);
    } catch (failure) {
      if (!signal.aborted) {
        this.#results.fail(named(failure, query), () => this.run(query));
      }
    } finally {
      clearTimeout(waiting);
    }
  }

  async more() {
    if (this.#isLoadingMore) {
      return;
    }
    const query = this.#query;
    const answer = this.#answers.get(nameOf(query));
    const { signal } = this.#running;
    this.#isLoadingMore = this.#results.isLoadingMore = true;
    try {
      const page = await search(await this.#sendable(query), answer.next, signal);
      const longer = { ...answer, hits: [...answer.hits, ...page.hits], next: page.next };
      this.#remember(query, longer);
      this.#results.append(page, summaryOf(query, longer));
    } catch (failure) {
      if (!signal.aborted) {
        this.#results.failBeside(failure, () => this.more());
      }
    } finally {
      this.#isLoadingMore = this.#results.isLoadingMore = false;
    }
  }

  #begin(query) {
    this.#running.abort();
    this.#running = new AbortController();
    this.#query = query;
    return this.#running.signal;
  }

  #remember(query, answer) {
    const name = nameOf(query);
    this.#answers.delete(name); // to the end of the line
    this.#answers.set(name, answer);
    if (this.#answers.size > REMEMBERED) {
      this.#answers.delete(this.#answers.keys().next().value);
    }
  }

  #show(answer) {
    this.#results.show(answer, summaryOf(this.#query, answer));
  }

  /** The query with its file as it is sent. */
  async #sendable(query) {
    const { upload, file } = query;
    if (!upload) {
      return query;
    }
    if (!file) {
      throw new Failure("That image is no longer at hand", "An image from your device is kept only while this page is open. Choose it again.", {
        final: true,
        ofFile: true,
      });
    }
    const { maxBytes, modelEdge } = this.#limits;
    const sent = await shrink(file, modelEdge);
    if (sent.size > maxBytes) {
      const limit = `It has ${megabytes(sent.size)}; at most ${megabytes(maxBytes)} are accepted.`;
      throw new Failure("That image is too large", limit, { final: true, ofFile: true });
    }
    return { ...query, file: sent };
  }
}

/** Which file it is that cannot be searched with. */
function named(failure, { file }) {
  if (failure.ofFile && file?.name) {
    failure.message = `The file ${file.name}: ${failure.message}`; // the name is not first, as first letters are shown as capitals
  }
  return failure;
}

/** Why nothing was found. */
async function absence() {
  const { images } = await stats();
  return images === 0
    ? new Failure("There are no images yet", "Nothing is stored that could be found. Images appear here after a sync.", { final: true })
    : new Failure("Nothing found", "No image comes close to that. Other words may describe it better.", { final: true });
}

/**
 * @param {Query} query
 * @param {Answer} answer
 * @returns {Summary}
 */
function summaryOf(query, { hits, truncated, timings_ms: timings }) {
  return {
    count: hits.length === 1 ? "1 image" : `${hits.length} images`,
    relation: query.text ? "closest to" : "most like this one",
    text: query.text ?? "",
    note: noteOn(query, truncated),
    time: `${Math.max(1, Math.round(timings.total))} ms`,
  };
}

function noteOn(query, isTruncated) {
  if (query.upload) {
    return "a search with your own image has no link to share";
  }
  return isTruncated ? "the model read only the beginning of this description" : "";
}

function megabytes(bytes) {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

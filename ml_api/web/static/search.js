/** One search at a time: ask, show, go on. A new one aborts the one before it. */

import { absence, refused } from "./absence.js";
import { Answers, heirOf } from "./answers.js";
import { countPassing, findImage, MAX_LIMIT, search } from "./api.js";
import { abandoned, Failure, naming } from "./failures.js";
import { judged, longerBy } from "./likely.js";
import { extentOf, summaryOf } from "./summary.js";

/** @import { Facets, StoredImage } from "./api.js" */
/** @import { Found } from "./likely.js" */
/** @import { Query } from "./query.js" */
/** @import { Results } from "./results.js" */
/** @import { Sending } from "./sending.js" */

const PAGE_SIZE = 24; // full rows of 2, 3, 4, 6 and 8
const SKELETON_AFTER_MS = 150; // what comes sooner needs no announcement
const PATIENCE_S = 10;

export class Search {
  #results;
  #sending;
  #onMore;
  #answers = new Answers();
  #running = new AbortController();
  /** @type {Query | null} */
  #query = null;
  /** @type {Promise<void> | null} */
  #more = null; // under way
  /** @type {Failure | null} */
  #halt = null;

  /**
   * @param {Results} results
   * @param {Sending} sending
   * @param {() => Promise<void>} onMore called when there are more hits, and when it is known why not
   */
  constructor(results, sending, onMore) {
    this.#results = results;
    this.#sending = sending;
    this.#onMore = onMore;
  }

  /** @returns {StoredImage[]} */
  get hits() {
    return this.#answers.to(this.#query)?.hits ?? [];
  }

  /** How many hits there are, in words, as far as that is known. */
  get extent() {
    return extentOf(this.#answers.to(this.#query));
  }

  /** Why the next page did not come. It is asked for again when somebody wants it, not by itself: who is refused does not press. */
  get halt() {
    return this.#halt;
  }

  /**
   * The hit, be it a copy behind another one.
   * @param {string} id
   */
  hit(id) {
    return this.hits.flatMap((hit) => [hit, ...(hit.group?.hits ?? [])]).find((one) => one.id === id);
  }

  /**
   * An image: one of the hits or, if it is none, as it is stored. Throws a Failure.
   * @param {string} id
   */
  async find(id) {
    return this.hits.find((hit) => hit.id === id) ?? (await findImage(id));
  }

  /**
   * An image that is no longer stored.
   * @param {string} id
   * @returns {StoredImage | undefined} the copy that stands in its place
   */
  forget(id) {
    const [heir] = heirOf(this.hits.find((hit) => hit.id === id) ?? {});
    this.#answers.forget(id);
    return heir;
  }

  /** There are others now: what was found before may be out of date. */
  forgetAll() {
    this.#answers.forgetOthers(this.#query);
  }

  /** Says again how much there is, after some of it was forgotten. */
  tell() {
    const answer = this.#answers.to(this.#query);
    if (this.#query && answer) {
      this.#results.summarise(summaryOf(this.#query, answer));
    }
  }

  /** Nothing is searched for. */
  stop() {
    this.#begin(null);
    this.#results.clear();
  }

  /**
   * @param {Query} query
   * @param {{fresh?: boolean, atLeast?: number, keeps?: boolean}} [how] fresh: even if the answer is remembered; atLeast: hits to show;
   *   keeps: what was found before stays until there is an answer
   */
  async run(query, { fresh = false, atLeast = 0, keeps = false } = {}) {
    const { signal } = this.#begin(query);
    const remembered = this.#answers.to(query);
    if (remembered && !fresh) {
      this.#results.show(remembered, summaryOf(query, remembered));
      return;
    }
    const stopWaiting = this.#wait(query, keeps);
    try {
      const answer = await this.#ask(query, Math.max(PAGE_SIZE, atLeast), signal);
      if (answer.hits.length === 0) {
        throw await absence(query, answer, signal);
      }
      this.#answers.keep(query, answer);
      this.#results.show(answer, summaryOf(query, answer));
      this.#count(query, answer, signal);
    } catch (failure) {
      if (!signal.aborted && failure instanceof Failure) {
        this.#results.fail(naming(refused(failure), query.terms.flatMap(({ file }) => file?.name ?? [])), () => this.run(query));
      } else if (!signal.aborted) {
        throw failure;
      }
    } finally {
      stopWaiting();
    }
  }

  /** When no next page is on its way any more. */
  get settled() {
    return this.#more ?? Promise.resolve();
  }

  /** The next page, which may be on its way already. */
  more() {
    this.#more ??= this.#loadMore().finally(() => {
      this.#more = null;
    });
    return this.#more;
  }

  async #loadMore() {
    const query = this.#query;
    const answer = this.#answers.to(query);
    if (!query || !answer || answer.next === null) {
      return;
    }
    const { signal } = this.#running;
    this.#halt = null;
    this.#results.isLoadingMore = true;
    const telling = setTimeout(() => this.#results.loadsLong(PATIENCE_S), PATIENCE_S * 1000);
    try {
      const slice = { limit: PAGE_SIZE, after: answer.next };
      const page = await search(await this.#sending.prepare(query, signal), slice, signal);
      const longer = longerBy(this.#answers.to(query) ?? answer, page); // counted meanwhile, or shorter by what was deleted
      this.#answers.keep(query, longer);
      this.#results.append(page.hits, longer, summaryOf(query, longer));
    } catch (failure) {
      if (!signal.aborted && failure instanceof Failure && failure.code === "invalid-cursor") {
        await this.run(query, { fresh: true, keeps: true, atLeast: answer.hits.length + PAGE_SIZE }); // it expired, or the model changed
      } else if (!signal.aborted && failure instanceof Failure) {
        this.#halt = failure;
        this.#results.failBeside(failure, () => this.more());
      }
    } finally {
      clearTimeout(telling);
      this.#results.isLoadingMore = false;
    }
    await this.#onMore();
  }

  /**
   * How many of the best hits have which values.
   * @param {Query} query
   * @param {string[]} names of the fields
   * @param {AbortSignal} signal
   * @returns {Promise<Facets | null>} null where there is no ranking
   */
  async facets(query, names, signal) {
    if (query.terms.length === 0) {
      return null;
    }
    const { facets } = await search(await this.#sending.prepare(query, signal), { limit: 1, facets: names }, signal);
    return facets ?? null;
  }

  /**
   * Of a listing it is said how many images there are: by a request of its own, as a store may have to go through all for it.
   * @param {Query} query
   * @param {Found} answer
   * @param {AbortSignal} signal
   */
  async #count(query, answer, signal) {
    if (query.terms.length > 0 || answer.next === null) {
      return;
    }
    const count = await countPassing(query.filter, signal).catch(() => undefined); // what was found is there to be seen all the same
    const found = this.#answers.to(query); // with the pages that have come meanwhile
    if (found && count !== undefined && !signal.aborted) {
      this.#answers.keep(query, { ...found, count });
      this.tell();
    }
  }

  /** @param {Query | null} query */
  #begin(query) {
    this.#running.abort();
    this.#running = new AbortController();
    this.#halt = null;
    this.#query = query;
    return this.#running;
  }

  /**
   * Says at first that it searches, and after a while that this takes long.
   * @param {Query} query
   * @param {boolean} keeps
   */
  #wait(query, keeps) {
    const cancel = () => {
      this.#running.abort();
      this.#results.fail(abandoned(PATIENCE_S), () => this.run(query));
    };
    const timers = [
      setTimeout(() => this.#results.wait(keeps), SKELETON_AFTER_MS),
      setTimeout(() => this.#results.waitLong(PATIENCE_S, cancel), PATIENCE_S * 1000),
    ];
    return () => timers.forEach(clearTimeout);
  }

  /**
   * As many hits as there were before a reload, in as few requests as the API lets us.
   * @param {Query} query
   * @param {number} wanted
   * @param {AbortSignal} signal
   */
  async #ask(query, wanted, signal) {
    const sent = await this.#sending.prepare(query, signal);
    let answer = judged(query, await search(sent, { limit: Math.min(wanted, MAX_LIMIT) }, signal), PAGE_SIZE);
    while (answer.hits.length < wanted && answer.next !== null) {
      const slice = { limit: Math.min(wanted - answer.hits.length, MAX_LIMIT), after: answer.next };
      answer = longerBy(answer, await search(sent, slice, signal));
    }
    return answer;
  }
}

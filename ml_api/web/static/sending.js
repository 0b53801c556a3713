/** A query as it is sent: stored images by their ids, one's own shrunk, and parts cut out of either. */

import { fetchFile } from "./api.js";
import { Failure, imageLost } from "./failures.js";
import { shrink } from "./shrink.js";
import { sizeInWords } from "./wording.js";

/** @import { SentQuery, SentTerm, StoredImage } from "./api.js" */
/** @import { Part, Query, Term } from "./query.js" */

const MAX_TEXT = 1000; // characters

export class Sending {
  #limits;
  #find;

  /**
   * @param {{maxBytes: number, modelEdge: number}} limits of an image; a server that refuses a larger body may hang up before it says why
   * @param {(id: string) => Promise<StoredImage>} find
   */
  constructor(limits, find) {
    this.#limits = limits;
    this.#find = find;
  }

  /**
   * The query with its images as they are sent.
   * @param {Query} query
   * @param {AbortSignal} signal
   * @returns {Promise<SentQuery>}
   */
  async prepare({ terms, ...others }, signal) {
    return { terms: await Promise.all(terms.map((term) => this.#sent(term, signal))), ...others };
  }

  /**
   * @param {Term} term
   * @param {AbortSignal} signal
   * @returns {Promise<SentTerm>}
   */
  async #sent({ text, like, upload, file, part, weight }, signal) {
    if (text && text.length > MAX_TEXT) {
      const advice = `It has ${text.length.toLocaleString("en")} characters; at most 1,000 characters are read. Say it in fewer words.`;
      throw new Failure("That description is too long", advice, { final: true });
    }
    if (text) {
      return { text, weight };
    }
    if (like) {
      return part ? { image: await this.#partOf(like, part, signal), weight } : { id: like, weight };
    }
    if (!upload || !file) {
      throw imageLost();
    }
    const { maxBytes, modelEdge } = this.#limits;
    const image = await shrink(file, modelEdge, part).catch(() => {
      throw new Failure("No part of that image can be cut out", "This browser cannot show it. Search with the whole image, or with another one.", {
        final: true,
        ofFile: true,
      });
    });
    if (image.size > maxBytes) {
      const limit = `It has ${sizeInWords(image.size)}; at most ${sizeInWords(maxBytes)} are accepted.`;
      throw new Failure("That image is too large", limit, { final: true, ofFile: true });
    }
    return { image, weight };
  }

  /**
   * A part of a stored image, cut out here: of its file, or of its preview where this browser does not show the file's format.
   * @param {string} id
   * @param {Part} part
   * @param {AbortSignal} signal
   */
  async #partOf(id, part, signal) {
    const { links } = await this.#find(id);
    const { modelEdge } = this.#limits;
    try {
      return await shrink(await fetchFile(links.content, signal), modelEdge, part);
    } catch (failure) {
      if (failure instanceof Failure || signal.aborted) {
        throw failure;
      }
      return shrink(await fetchFile(links.thumbnail, signal), modelEdge, part);
    }
  }
}

/**
 * As the server wrote them into the page.
 * @param {HTMLElement} body
 */
export function limitsIn({ dataset: { maxBytes, modelEdge } }) {
  return { maxBytes: Number(maxBytes), modelEdge: Number(modelEdge) };
}

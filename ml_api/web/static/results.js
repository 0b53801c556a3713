/** The grid of hits and what stands in its place: a wait, nothing, an error. All texts of others go in as text, never as HTML. */

import { element } from "./element.js";

/** @import { Answer, Failure, Image } from "./api.js" */
/** @typedef {{count: string, relation: string, text: string, time: string, note: string}} Summary */

const SKELETONS = 12;
const FILLERS = 24; // at least as many as a row may hold
const NARROWEST = 0.5;
const WIDEST = 2.2;

export class Results {
  #summary;
  #grid;
  #notice;
  #more;
  #template;
  #addressOf;
  #retry;

  /**
   * @param {HTMLElement} section
   * @param {HTMLTemplateElement} template
   * @param {{addressOf: (image: Image) => {open: string, like: string}, onMore: () => void}} page
   */
  constructor(section, template, { addressOf, onMore }) {
    this.#summary = section.querySelector(".summary");
    this.#grid = section.querySelector(".grid");
    this.#notice = section.querySelector(".notice");
    this.#more = section.querySelector(".more");
    this.#template = template;
    this.#addressOf = addressOf;
    this.#more.querySelector("button").addEventListener("click", onMore);
    this.#notice.querySelector(".notice-retry").addEventListener("click", () => this.#retry());
  }

  /** Something is on its way. */
  wait() {
    this.clear();
    this.#summary.textContent = "Searching…";
    this.#grid.append(...Array.from({ length: SKELETONS }, skeleton), ...fillers());
  }

  /**
   * @param {Answer} answer
   * @param {Summary} summary
   */
  show(answer, summary) {
    this.clear();
    this.#grid.append(...answer.hits.map((hit) => this.#tile(hit)), ...fillers());
    this.#summarise(summary);
    this.#more.hidden = answer.next === null;
  }

  /**
   * One more page.
   * @param {Answer} page
   * @param {Summary} summary
   */
  append(page, summary) {
    const tiles = page.hits.map((hit) => this.#tile(hit));
    this.#grid.querySelector(".filler").before(...tiles);
    this.#summarise(summary);
    this.#notice.hidden = true;
    this.#more.hidden = page.next === null;
    // Where the button was, so that the keyboard goes on with what is new
    tiles[0]?.querySelector(".open").focus({ preventScroll: true });
  }

  /** @param {boolean} isLoading */
  set isLoadingMore(isLoading) {
    const button = this.#more.querySelector("button");
    button.textContent = isLoading ? "Loading…" : "Show more";
    button.setAttribute("aria-disabled", String(isLoading));
  }

  /**
   * @param {Failure} failure
   * @param {() => void} retry
   */
  fail(failure, retry) {
    this.clear();
    this.#explain(failure, retry);
  }

  /**
   * Something else than the search failed; what was found stays.
   * @param {Failure} failure
   * @param {() => void} retry
   */
  failBeside(failure, retry) {
    this.#explain(failure, retry);
  }

  /** @returns {HTMLAnchorElement[]} the links that open the hits, in order */
  get links() {
    return [...this.#grid.querySelectorAll(".open")];
  }

  /** @param {string} id */
  focus(id) {
    this.links.find((link) => link.dataset.id === id)?.focus();
  }

  /** Nothing to show. The section itself stays, as a reader may not hear of a result in what has just come into being. */
  clear() {
    this.#summary.replaceChildren();
    this.#grid.replaceChildren();
    this.#notice.hidden = true;
    this.#more.hidden = true;
  }

  /** @param {Summary} summary */
  #summarise({ count, relation, text, time, note }) {
    const found = text ? element("span", `${count} ${relation} `, element("strong", text)) : element("span", `${count} ${relation}`);
    this.#summary.replaceChildren(found, element("span", time), ...(note ? [element("span", note)] : []));
  }

  /**
   * @param {Failure} failure
   * @param {() => void} retry
   */
  #explain({ title, message, requestId, final, ofFile }, retry) {
    this.#notice.querySelector("h2").textContent = title;
    this.#notice.querySelector(".notice-detail").textContent = message;
    this.#notice.querySelector(".notice-request").hidden = !requestId;
    this.#notice.querySelector("code").textContent = requestId;
    this.#notice.querySelector(".notice-retry").hidden = final;
    this.#notice.querySelector(".choose").hidden = !ofFile;
    this.#retry = retry;
    this.#notice.hidden = false;
  }

  /** @param {Image} image */
  #tile(image) {
    const tile = this.#template.content.firstElementChild.cloneNode(true);
    const { open, like } = this.#addressOf(image);
    const ratio = Math.min(WIDEST, Math.max(NARROWEST, image.width / image.height));
    tile.style.setProperty("--ratio", String(ratio));
    const link = tile.querySelector(".open");
    link.href = open;
    link.dataset.id = image.id;
    const picture = tile.querySelector("img");
    picture.alt = captionOf(image);
    picture.addEventListener("error", () => tile.classList.add("missing"));
    picture.src = image.links.thumbnail;
    tile.querySelector(".like").href = like;
    tile.querySelector(".like").dataset.id = image.id;
    tile.querySelector(".name").textContent = captionOf(image);
    tile.querySelector(".score").textContent = rounded(image.score, 2);
    return tile;
  }
}

/**
 * What people call an image.
 * @param {Image} image
 */
export function captionOf({ metadata, key }) {
  return typeof metadata.caption === "string" && metadata.caption.trim() ? metadata.caption : key;
}

/**
 * A similarity, for people: nothing is as much as -0.00.
 * @param {number} score
 * @param {number} digits
 */
export function rounded(score, digits) {
  const text = score.toFixed(digits);
  return Number(text) === 0 ? text.replace("-", "") : text;
}

function skeleton() {
  const tile = element("li", element("div"), element("p"));
  tile.className = "hit skeleton";
  tile.setAttribute("aria-hidden", "true");
  tile.children[0].className = "frame";
  tile.children[1].className = "caption";
  return tile;
}

function fillers() {
  return Array.from({ length: FILLERS }, () => {
    const filler = element("li");
    filler.className = "filler";
    filler.setAttribute("aria-hidden", "true");
    return filler;
  });
}

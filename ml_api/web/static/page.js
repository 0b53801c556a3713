/** The page: what the address says is what is shown. Every action changes the address, and showing follows from that. */

import { findImage, knownFields } from "./api.js";
import { Box } from "./box.js";
import { find } from "./element.js";
import { FilterPanel } from "./filters/panel.js";
import { letIn, rights, tellHeight } from "./frame.js";
import { Home } from "./home.js";
import { takeFiles } from "./incoming.js";
import { listenToKeys } from "./keyboard.js";
import { Large, waysFrom } from "./large.js";
import { Duplicates } from "./manage/duplicates.js";
import { offerManaging } from "./manage/offer.js";
import { Marking } from "./marking.js";
import { Pictured } from "./pictured.js";
import { heedAddress, notePlaces } from "./places.js";
import { addressOf, ALL, haveSameTerms, keptOf, likeQuery, nameOf, queryOf, termOfFile, viewAt, withTerm } from "./query.js";
import { Results } from "./results.js";
import { Search } from "./search.js";
import { Sending } from "./sending.js";
import { wordsOf } from "./summary.js";
import { tile } from "./tile.js";

/** @import { Rights } from "./frame.js" */
/** @import { Selection } from "./manage/selection.js" */
/** @import { Query, Term, View } from "./query.js" */

/**
 * How an address is gone to. fresh: ask anew, from the top; opening: Back closes the large view; replacing: the entry of the history;
 * typing: the words in the box are not finished.
 * @typedef {{fresh?: boolean, opening?: boolean, replacing?: boolean, typing?: boolean}} How
 */

const TITLE = document.title;

class Page {
  /** @type {View} */
  #view = { query: null, image: null, tool: null };
  #searching = Promise.resolve();
  /** @type {Selection | null} */
  #selection = null; // for whoever may change the corpus
  #pictured = new Pictured(find(document, ".crop", HTMLDialogElement), {
    find: (id) => this.#find(id),
    query: () => this.#view.query,
    onAsk: (query) => this.#ask(query),
  });
  #box = new Box(find(document, ".search", HTMLElement), find(document, "#chip", HTMLTemplateElement), {
    onSearch: (terms) => this.#settle(terms),
    onTyped: (terms) => this.#ask(this.#composed(terms), { typing: true }),
    onAdjust: (change) => this.#adjust(change),
    onClear: () => (this.#view.query?.filter ? this.#ask(this.#composed([])) : this.#go({ query: null, image: null })),
    onCrop: (term) => this.#pictured.crop(term),
    describe: (term) => this.#pictured.describe(term),
  });
  #marking = new Marking(find(document, ".marking", HTMLElement), {
    hit: (id) => this.#search.hit(id),
    onRefine: (marks) => this.#adjust({ marks }),
  });
  #results = new Results(find(document, ".results", HTMLElement), {
    tileOf: (image, copies) => this.#tile(image, copies),
    onMore: () => this.#search.more(),
    onFilter: (filter) => this.#adjust({ filter }),
    onArranged: (change) => this.#note(change),
  });
  #large = new Large(find(document, ".detail", HTMLDialogElement), this.#results, {
    view: () => this.#view,
    hits: () => this.#search.hits,
    searched: () => this.#searching,
    onMore: () => this.#search.more(),
    find: (id) => this.#find(id),
    onGo: (view, how) => this.#go(view, how),
    onCrop: (id) => this.#pictured.crop({ like: id, weight: 1 }, true),
    onHeat: (heat) => this.#note({ heat }),
    onShown: (caption) => this.#entitle(caption),
    marking: this.#marking,
  });
  #search = new Search(this.#results, new Sending(limits(), (id) => this.#find(id)));
  #filters = new FilterPanel(find(document, ".filters", HTMLDialogElement), find(document, ".start-filtering", HTMLButtonElement), {
    known: knownFields,
    facets: (names, filter, signal) => this.#search.facets({ ...(this.#view.query ?? ALL), filter }, names, signal),
    onApart: (apart) => this.#adjust({ apart }),
    onFilter: (filter) => this.#adjust({ filter }),
    onTurn: (isOpen) => history.replaceState({ ...history.state, filters: isOpen }, ""),
  });
  #home = new Home(find(document, ".home", HTMLElement));
  #duplicates = new Duplicates(find(document, ".duplicates", HTMLElement));

  start() {
    document.addEventListener("click", (event) => this.#follow(event));
    window.addEventListener("popstate", () => this.#show(this.#viewHere()));
    heedAddress();
    notePlaces(() => this.#results.place);
    takeFiles({
      veil: find(document, ".drop", HTMLElement),
      onFile: (file) => this.#ask(queryOf(termOfFile(file))),
    });
    listenToKeys({
      box: find(document, "#q", HTMLInputElement),
      dialog: find(document, ".detail", HTMLDialogElement),
      links: () => this.#results.links,
      onLike: (id) => this.#ask(likeQuery(id)),
      onStep: (by) => this.#large.step(by),
      onMark: (id, mark) => this.#marking.toggle(id, mark),
    });
    this.#show(this.#viewHere());
    if (!this.#view.query && !this.#view.image && !this.#view.tool) {
      this.#box.invite();
    }
  }

  /**
   * What the visitor may do from now on.
   * @param {Promise<Rights>} held
   */
  async allow(held) {
    this.#home.follow(held);
    const { write, syncs, signed_in } = await held;
    if (write) {
      this.#selection ??= this.#offerManaging();
    }
    document.body.classList.toggle("may-write", write); // the key may be another one than before
    document.body.classList.toggle("may-sync", syncs);
    document.body.classList.toggle("signed-in", signed_in);
  }

  /** What only those see who may change the corpus. */
  #offerManaging() {
    return offerManaging({
      onDeleted: (id) => {
        const heir = this.#search.forget(id);
        return heir ? this.#results.tile(heir) : null;
      },
      onEnd: () => {
        this.#search.tell();
        this.#home.watch();
      },
      onAdded: () => {
        this.#search.forgetAll();
        this.#home.watch();
      },
    });
  }

  #viewHere() {
    return viewAt(location.search, history.state?.terms);
  }

  /**
   * Links within this page change what it shows; new tabs and windows stay the browser's.
   * @param {MouseEvent} event
   */
  #follow(event) {
    const link = event.target instanceof Element ? event.target.closest("a[href]") : null;
    const isPlain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
    if (!isPlain || !(link instanceof HTMLAnchorElement) || link.target || link.download) {
      return;
    }
    if (link.origin !== location.origin || link.pathname !== location.pathname || link.hash) {
      return;
    }
    event.preventDefault();
    const { query, image, tool } = viewAt(link.search);
    const { id, weight } = link.dataset;
    if (image) {
      this.#go({ ...this.#view, image, heat: false }, { opening: this.#view.image === null, replacing: this.#view.image !== null });
    } else if (id && weight) {
      this.#ask(withTerm(this.#view.query, { like: id, weight: Number(weight) })); // with images of one's own, which no address names
    } else if (query) {
      this.#ask(query);
    } else {
      this.#go({ query: null, image: null, tool });
      this.#box.invite();
    }
  }

  /**
   * @param {Term[]} terms
   * @returns {Query}
   */
  #composed(terms) {
    const query = { ...(this.#view.query ?? ALL), terms };
    return haveSameTerms(query, this.#view.query) ? query : { ...query, marks: null }; // which were for others
  }

  /**
   * The search at hand with other filters or marks.
   * @param {Partial<Query>} change
   */
  #adjust(change) {
    this.#ask({ ...(this.#view.query ?? ALL), ...change });
  }

  /**
   * The same in another arrangement, which whoever opens the address finds.
   * @param {Partial<View>} change
   */
  #note(change) {
    this.#view = { ...this.#view, ...change };
    history.replaceState(history.state, "", addressOf(this.#view));
  }

  /**
   * What was typed is meant: it is asked for, if it is not there already, and the box shows it as it was read.
   * @param {Term[]} terms
   */
  #settle(terms) {
    const query = this.#composed(terms);
    const isThere = history.state?.typing && nameOf(query) === nameOf(this.#view.query);
    this.#ask(query, { fresh: !isThere });
    this.#box.show(query);
  }

  /**
   * @param {Query} query
   * @param {How} [how]
   */
  #ask(query, how = {}) {
    this.#go({ query, image: null }, { fresh: true, ...how });
  }

  /**
   * @param {View} view
   * @param {How} [how]
   */
  #go(view, how = {}) {
    if (this.#large.isLeaving) {
      window.addEventListener("popstate", () => this.#go(view, how), { once: true });
      return;
    }
    const { fresh = false, opening = false, replacing = false, typing = false } = how;
    const isSame = addressOf(view) === addressOf(this.#view) && nameOf(view.query) === nameOf(this.#view.query);
    const isReplaced = replacing || isSame || (typing && history.state?.typing);
    const isOpened = opening || (replacing && view.image !== null && Boolean(history.state?.isOpened));
    const place = fresh ? null : this.#results.place;
    if (!isReplaced) {
      history.replaceState({ ...history.state, place: this.#results.place, y: window.scrollY }, "");
    }
    const y = this.#isAnother(view) ? 0 : window.scrollY;
    const kept = { terms: keptOf(view.query), isOpened, typing, place, y, filters: this.#filters.isOpen };
    history[isReplaced ? "replaceState" : "pushState"](kept, "", addressOf(view));
    if (fresh) {
      window.scrollTo(0, 0);
    }
    this.#show(view, { fresh, typing });
  }

  /** @param {View} view */
  #isAnother(view) {
    return nameOf(view.query) !== nameOf(this.#view.query) || view.tool !== this.#view.tool;
  }

  /**
   * @param {View} view
   * @param {How} [how]
   */
  #show(view, { fresh = false, typing = false } = {}) {
    const isAnother = fresh || this.#isAnother(view);
    this.#view = view;
    this.#results.arrange(view);
    if (!view.query && !view.tool) {
      this.#home.show();
    }
    if (isAnother) {
      this.#showSearch(view.query, { fresh, typing });
    }
    this.#entitle();
    this.#large.show(view.image);
  }

  /**
   * So that tabs and entries of the history are told from each other.
   * @param {string} [caption] of the image that is shown large
   */
  #entitle(caption) {
    const { query, tool } = this.#view;
    const what = caption ?? (query ? wordsOf(query) : tool === "duplicates" ? "Duplicates" : "");
    document.title = what ? `${what} · ${TITLE}` : TITLE;
  }

  /**
   * @param {Query | null} query
   * @param {How} how
   */
  #showSearch(query, { fresh, typing }) {
    const isLooking = !query && this.#view.tool === "duplicates";
    document.body.dataset.view = query ? "results" : isLooking ? "duplicates" : "home";
    this.#selection?.stop();
    if (isLooking) {
      this.#duplicates.start(!history.state?.y);
    } else {
      this.#duplicates.stop();
    }
    if (!typing) {
      this.#box.show(query);
    }
    this.#filters.show(query);
    this.#marking.show(query);
    document.body.classList.toggle("ranked", Boolean(query?.terms.length));
    this.#filters.turn(query !== null && history.state?.filters === true);
    if (!query) {
      this.#search.stop();
      window.scrollTo(0, history.state?.y ?? 0);
      return;
    }
    const place = fresh ? null : history.state?.place;
    this.#searching = this.#search.run(query, { fresh, keeps: typing, atLeast: place?.count });
    this.#searching.then(() => {
      if (nameOf(this.#view.query) === nameOf(query)) {
        this.#arrive(place, fresh);
      }
    });
  }

  /**
   * @param {import("./results.js").Place | null} place
   * @param {boolean} [fresh]
   */
  #arrive(place, fresh) {
    if (place) {
      this.#results.goTo(place);
    }
    if (this.#view.image) {
      this.#large.show(this.#view.image); // which now has neighbours
    } else if (fresh) {
      this.#results.takeFocus();
    }
  }

  /**
   * @param {import("./api.js").StoredImage} image
   * @param {import("./copies.js").Copies} copies
   */
  #tile(image, copies) {
    const template = find(document, "#hit", HTMLTemplateElement);
    return tile(template, image, waysFrom(this.#view.query, image.id), { marking: this.#marking, copies });
  }

  /** @param {string} id */
  async #find(id) {
    return this.#search.hits.find((hit) => hit.id === id) ?? (await findImage(id));
  }
}

function limits() {
  const { maxBytes, modelEdge } = document.body.dataset;
  return { maxBytes: Number(maxBytes), modelEdge: Number(modelEdge) };
}

tellHeight();
const page = new Page();
letIn(() => page.allow(rights()));
page.start();
find(document, ".unstarted", HTMLElement).remove();
await page.allow(rights());

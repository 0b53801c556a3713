/** The page: what the trail says is what is shown. Every action goes on along the trail, and showing follows from that. */

import { knownFields } from "./api.js";
import { Box } from "./box.js";
import { find } from "./element.js";
import { FilterPanel } from "./filters/panel.js";
import { letIn, rights, tellHeight } from "./frame.js";
import { Home } from "./home.js";
import { takeFiles } from "./incoming.js";
import { listenToKeys } from "./keyboard.js";
import { Large } from "./large.js";
import { Duplicates } from "./manage/duplicates.js";
import { offerManaging } from "./manage/offer.js";
import { Marking } from "./marking.js";
import { Pictured } from "./pictured.js";
import { ALL, likeQuery, nameOf, queryOf, termOfFile, withTerms } from "./query.js";
import { Results } from "./results.js";
import { Search } from "./search.js";
import { limitsIn, Sending } from "./sending.js";
import { wordsOf } from "./summary.js";
import { tile } from "./tile.js";
import { Trail } from "./trail.js";
import { waysFrom } from "./ways.js";

/** @import { View } from "./address.js" */
/** @import { Rights } from "./frame.js" */
/** @import { Selection } from "./manage/selection.js" */
/** @import { Term } from "./query.js" */

const TITLE = document.title;

class Page {
  #searching = Promise.resolve();
  /** @type {Selection | null} */
  #selection = null; // for whoever may change the corpus
  #trail = new Trail({
    place: () => this.#results.place,
    onShow: (view, change) => this.#show(view, change),
    onStart: () => this.#box.invite(),
  });
  #pictured = new Pictured(find(document, ".crop", HTMLDialogElement), {
    find: (id) => this.#search.find(id),
    query: () => this.#trail.view.query,
    onAsk: (query) => this.#trail.ask(query),
  });
  #box = new Box(find(document, ".search", HTMLElement), find(document, "#chip", HTMLTemplateElement), {
    onSearch: (terms) => this.#settle(terms),
    onTyped: (terms) => this.#trail.ask(withTerms(this.#trail.view.query, terms), { typing: true }),
    onAdjust: (change) => this.#trail.adjust(change),
    onClear: () => this.#clear(),
    onCrop: (term) => this.#pictured.crop(term),
    describe: (term) => this.#pictured.describe(term),
  });
  #marking = new Marking(find(document, ".marking", HTMLElement), {
    hit: (id) => this.#search.hit(id),
    onRefine: (marks) => this.#trail.adjust({ marks }),
  });
  #results = new Results(find(document, ".results", HTMLElement), {
    tileOf: (image, copies) => this.#tile(image, copies),
    onMore: () => this.#search.more(),
    onFilter: (filter) => this.#trail.adjust({ filter }),
    onArranged: (change) => this.#trail.note(change),
  });
  #search = new Search(this.#results, new Sending(limitsIn(document.body), (id) => this.#search.find(id)), () => this.#large.update());
  #large = new Large(find(document, ".detail", HTMLDialogElement), {
    trail: this.#trail,
    search: this.#search,
    results: this.#results,
    marking: this.#marking,
    searched: () => this.#searching,
    onCrop: (id) => this.#pictured.crop({ like: id, weight: 1 }, true),
    onShown: (caption) => this.#entitle(caption),
  });
  #filters = new FilterPanel(find(document, ".filters", HTMLDialogElement), find(document, ".start-filtering", HTMLButtonElement), {
    known: knownFields,
    facets: (names, filter, signal) => this.#search.facets({ ...(this.#trail.view.query ?? ALL), filter }, names, signal),
    onApart: (apart) => this.#trail.adjust({ apart }),
    onFilter: (filter) => this.#trail.adjust({ filter }),
    onTurn: (isOpen) => this.#trail.keep({ filters: isOpen }),
  });
  #home = new Home(find(document, ".home", HTMLElement));
  #duplicates = new Duplicates(find(document, ".duplicates", HTMLElement));

  start() {
    takeFiles({
      veil: find(document, ".drop", HTMLElement),
      onFile: (file) => this.#trail.ask(queryOf(termOfFile(file))),
    });
    listenToKeys({
      box: find(document, "#q", HTMLInputElement),
      dialog: find(document, ".detail", HTMLDialogElement),
      links: () => this.#results.links,
      onLike: (id) => this.#trail.ask(likeQuery(id)),
      onStep: (by) => this.#large.step(by),
      onMark: (id, mark) => this.#marking.toggle(id, mark),
    });
    this.#trail.start();
    const { query, image, tool } = this.#trail.view;
    if (!query && !image && !tool) {
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

  /**
   * Something else than the search failed.
   * @param {import("./failures.js").Failure} failure
   * @param {() => void} retry
   */
  async tell(failure, retry) {
    await Promise.all([this.#searching, this.#search.settled]); // or hits would replace what is said here, or push it out of sight
    this.#results.failBeside(failure, retry);
    this.#results.showFailure();
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
        this.#duplicates.settle();
        this.#home.watch();
      },
      onAdded: () => {
        this.#search.forgetAll();
        this.#home.watch();
      },
    });
  }

  /** Nothing is searched for any more; filters stay. */
  #clear() {
    const { query } = this.#trail.view;
    if (query?.filter) {
      this.#trail.ask(withTerms(query, []));
    } else {
      this.#trail.go({ query: null, image: null });
    }
  }

  /**
   * What was typed is meant: it is asked for, if it is not there already, and the box shows it as it was read.
   * @param {Term[]} terms
   */
  #settle(terms) {
    const { view, entry } = this.#trail;
    const query = withTerms(view.query, terms);
    const isThere = entry.typing && nameOf(query) === nameOf(view.query);
    this.#trail.ask(query, { fresh: !isThere });
    this.#box.show(query);
  }

  /**
   * @param {View} view
   * @param {{isAnother: boolean, fresh: boolean, typing: boolean}} change
   */
  #show(view, { isAnother, fresh, typing }) {
    this.#results.arrange(view);
    if (!view.query && !view.tool) {
      this.#home.show();
    }
    if (isAnother) {
      this.#showSearch(view, { fresh, typing });
    }
    this.#entitle();
    this.#large.show(view.image);
  }

  /**
   * So that tabs and entries of the history are told from each other.
   * @param {string} [caption] of the image that is shown large
   */
  #entitle(caption) {
    const { query, tool } = this.#trail.view;
    const what = caption ?? (query ? wordsOf(query) : tool === "duplicates" ? "Duplicates" : "");
    document.title = what ? `${what} · ${TITLE}` : TITLE;
  }

  /**
   * @param {View} view
   * @param {{fresh: boolean, typing: boolean}} how
   */
  #showSearch({ query, tool }, { fresh, typing }) {
    const { place, y = 0, filters = false } = this.#trail.entry;
    const isLooking = !query && tool === "duplicates";
    document.body.dataset.view = query ? "results" : isLooking ? "duplicates" : "home";
    this.#selection?.stop();
    if (isLooking) {
      this.#duplicates.start(y === 0);
    } else {
      this.#duplicates.stop();
    }
    if (!typing) {
      this.#box.show(query);
    }
    this.#filters.show(query);
    this.#marking.show(query);
    document.body.classList.toggle("ranked", Boolean(query?.terms.length));
    this.#filters.turn(query !== null && filters);
    if (!query) {
      this.#search.stop();
      window.scrollTo(0, y);
      return;
    }
    this.#searching = this.#search.run(query, { fresh, keeps: typing, atLeast: place?.count });
    this.#searching.then(() => {
      if (nameOf(this.#trail.view.query) === nameOf(query)) {
        this.#arrive(place ?? null, fresh);
      }
    });
  }

  /**
   * @param {import("./results.js").Place | null} place
   * @param {boolean} fresh
   */
  #arrive(place, fresh) {
    if (place) {
      this.#results.goTo(place);
    }
    this.#large.update(); // which now has neighbours
    if (fresh && !this.#trail.view.image) {
      this.#results.takeFocus();
    }
  }

  /**
   * @param {import("./api.js").StoredImage} image
   * @param {import("./copies.js").Copies} copies
   */
  #tile(image, copies) {
    const template = find(document, "#hit", HTMLTemplateElement);
    return tile(template, image, waysFrom(this.#trail.view.query, image.id), { marking: this.#marking, copies });
  }
}

tellHeight();
const page = new Page();
letIn({ onIn: () => page.allow(rights()), onFailed: (failure, retry) => page.tell(failure, retry) });
page.start();
find(document, ".unstarted", HTMLElement).remove();
await page.allow(rights());

/** The page: what the address says is what is shown. Every action changes the address, and showing follows from that. */

import { findImage, signInBy, signOut, stats } from "./api.js";
import { Box } from "./box.js";
import { Detail } from "./detail.js";
import { listenToKeys } from "./keyboard.js";
import { addressOf, nameOf, uploadOf, viewAt } from "./query.js";
import { captionOf, Results } from "./results.js";
import { Search } from "./search.js";
import { SignIn } from "./sign-in.js";
import { takeFiles } from "./upload.js";

/** @import { Query, View } from "./query.js" */

const TITLE = document.title;

class Page {
  /** @type {View} */
  #view = { query: null, image: null };
  #searching = Promise.resolve();
  #box = new Box(document.querySelector(".box"), {
    onText: (text) => this.#ask({ text }),
    onClear: () => this.#go({ query: null, image: null }),
  });
  #results = new Results(document.querySelector(".results"), document.querySelector("#hit"), {
    addressOf: ({ id }) => ({
      open: addressOf({ query: this.#view.query, image: id }),
      like: addressOf({ query: { like: id }, image: null }),
    }),
    onMore: () => this.#search.more(),
  });
  #detail = new Detail(document.querySelector(".detail"), {
    onClose: () => this.#leaveDetail(),
    onStep: (by) => this.#step(by),
  });
  #search = new Search(this.#results, {
    maxBytes: Number(document.body.dataset.maxBytes),
    modelEdge: Number(document.body.dataset.modelEdge),
  });

  start() {
    document.addEventListener("click", (event) => this.#follow(event));
    window.addEventListener("popstate", () => this.#show(viewAt(location.search, history.state?.upload)));
    takeFiles({
      input: document.querySelector("#file"),
      buttons: document.querySelectorAll("button.choose"),
      veil: document.querySelector(".drop"),
      onFile: (file) => this.#ask(uploadOf(file)),
    });
    listenToKeys({
      box: document.querySelector("#q"),
      dialog: document.querySelector(".detail"),
      links: () => this.#results.links,
      onLike: (id) => this.#ask({ like: id }),
      onStep: (by) => this.#step(by),
    });
    this.#show(viewAt(location.search, history.state?.upload));
    if (!this.#view.query && !this.#view.image) {
      this.#box.invite();
    }
  }

  /** Links within this page change what it shows; new tabs and windows stay the browser's. */
  #follow(event) {
    const link = event.target.closest("a[href]");
    const isPlain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
    if (!isPlain || !link || link.target || link.origin !== location.origin || link.pathname !== location.pathname) {
      return;
    }
    event.preventDefault();
    const { query, image } = viewAt(link.search);
    if (image) {
      this.#go({ query: this.#view.query, image }, { isOpening: true });
    } else if (query) {
      this.#ask(query);
    } else {
      this.#go({ query: null, image: null });
      this.#box.invite();
    }
  }

  /** @param {Query} query */
  #ask(query) {
    this.#go({ query, image: null }, { fresh: true });
  }

  /**
   * @param {View} view
   * @param {{fresh?: boolean, isOpening?: boolean, isReplacing?: boolean}} [how]
   */
  #go(view, { fresh = false, isOpening = false, isReplacing = false } = {}) {
    const isSame = addressOf(view) === addressOf(this.#view) && nameOf(view.query) === nameOf(this.#view.query);
    const isOpened = isOpening || (isReplacing && view.image !== null && Boolean(history.state?.isOpened));
    history[isReplacing || isSame ? "replaceState" : "pushState"]({ upload: view.query?.upload, isOpened }, "", addressOf(view));
    if (fresh) {
      window.scrollTo(0, 0);
    }
    this.#show(view, { fresh });
  }

  /**
   * @param {View} view
   * @param {{fresh?: boolean}} [how]
   */
  #show(view, { fresh = false } = {}) {
    const isAnother = fresh || nameOf(view.query) !== nameOf(this.#view.query);
    this.#view = view;
    if (isAnother) {
      this.#showSearch(view.query, fresh);
    }
    this.#showDetail(view.image);
  }

  #showSearch(query, fresh) {
    document.body.dataset.view = query ? "results" : "home";
    document.title = query ? `${query.text ?? "More like this"} · ${TITLE}` : TITLE;
    this.#box.show(query);
    if (query?.like) {
      this.#showSource(query.like);
    }
    if (query) {
      this.#searching = this.#search.run(query, { fresh });
      this.#searching.then(() => this.#showDetail(this.#view.image)); // which now has neighbours
    } else {
      this.#search.stop();
    }
  }

  /** The stored image that others are compared with, in the box. */
  async #showSource(id) {
    try {
      const image = await this.#find(id);
      if (this.#view.query?.like === id) {
        this.#box.showImage(image.links.thumbnail, captionOf(image));
      }
    } catch {
      return; // the search itself says what is wrong
    }
  }

  async #showDetail(id) {
    if (!id) {
      this.#detail.hide();
      return;
    }
    try {
      const image = await this.#find(id);
      if (this.#view.image === id) {
        const [hasPrevious, hasNext] = [-1, 1].map((by) => this.#neighbour(by) !== undefined);
        this.#detail.show(image, { like: addressOf({ query: { like: id }, image: null }), hasPrevious, hasNext });
      }
    } catch (failure) {
      await this.#searching; // or its hits would replace what is said here
      if (this.#view.image === id) {
        this.#go({ query: this.#view.query, image: null }, { isReplacing: true });
        this.#results.failBeside(failure, () => this.#go({ query: this.#view.query, image: id }, { isOpening: true }));
      }
    }
  }

  /** The dialog was closed, by the user or because the address no longer names an image. */
  #leaveDetail() {
    const { query, image } = this.#view;
    if (!image) {
      return;
    }
    if (history.state?.isOpened) {
      // In the next frame: the browser first scrolls to where the large view was opened, which may be far from the last one seen
      window.addEventListener("popstate", () => requestAnimationFrame(() => this.#results.focus(image)), { once: true });
      history.back();
    } else {
      this.#go({ query, image: null }, { isReplacing: true });
      this.#results.focus(image);
    }
  }

  #step(by) {
    const image = this.#neighbour(by);
    if (image) {
      this.#go({ query: this.#view.query, image: image.id }, { isReplacing: true });
    }
  }

  #neighbour(by) {
    const { hits } = this.#search;
    const here = hits.findIndex(({ id }) => id === this.#view.image);
    return here < 0 ? undefined : hits[here + by];
  }

  async #find(id) {
    return this.#search.hits.find((hit) => hit.id === id) ?? (await findImage(id));
  }
}

async function countImages(place) {
  try {
    const { images } = await stats();
    place.textContent = `${new Intl.NumberFormat("en").format(images)} ${images === 1 ? "image" : "images"}`;
  } catch {
    return; // the first search says what is wrong
  }
}

function letIn(dialog, button) {
  if (!dialog) {
    return; // no keys are asked for
  }
  const signIn = new SignIn(dialog);
  signInBy((why) => signIn.ask(why));
  button.addEventListener("click", async () => {
    await signOut();
    location.reload();
  });
}

letIn(document.querySelector(".sign-in"), document.querySelector(".sign-out"));
new Page().start();
countImages(document.querySelector(".count"));

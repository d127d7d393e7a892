// The page: joins its views, the actions and the way to the server.

import { createActions } from "./actions.js";
import { ChangeList } from "./changes.js";
import { byId, field, make, setText } from "./dom.js";
import { count, nameOfClass } from "./format.js";
import { Grid } from "./grid.js";
import { buildHelp } from "./help.js";
import { listenToKeys } from "./keyboard.js";
import { listenToMouse } from "./mouse.js";
import { Overview } from "./overview.js";
import { Panel } from "./panel.js";
import { Player } from "./player.js";
import { modelText } from "./model.js";
import { pollFindings, pollModel, startHeartbeat } from "./polling.js";
import { Review } from "./review.js";
import { positionsOf } from "./runs.js";
import { VIEWS } from "./session.js";
import { Single } from "./single.js";
import { changesWait, showBar, showCondition, toast } from "./status.js";
import { canBeLabelled } from "./unlabelled.js";
import { ActionContext, sizeOf } from "./action_context.js";

/** @typedef {import("./player.js").Painting} Painting */
/** @typedef {import("./session.js").View} View */
/** @typedef {import("./types").ClassName} ClassName */
/** @typedef {import("./types").Operation} Operation */

/**
 * @typedef {object} Parts
 * @property {import("./types").Entries} entries
 * @property {import("./types").RoundSummary | null} round  what became of the work before this
 * @property {import("./outbox.js").Outbox} outbox
 * @property {import("./writer.js").Writer} writer
 * @property {import("./session.js").Session} session
 * @property {import("./pictures.js").Pictures} pictures
 * @property {Map<string, string>} layout  what is printed on the keys, by event.code
 * @property {string} placeKey  of the place where this tab was, in its session storage
 */

const PLACE_MS = 300; // browsers limit how often the address may change

export class Page {
  /** @param {Parts} parts */
  constructor({ entries, round, outbox, writer, session, pictures, layout, placeKey }) {
    this.outbox = outbox;
    this.writer = writer;
    this.session = session;
    this.store = session.store;
    this.placeKey = placeKey;
    /** What of Single and Grid waits until all that happens at once has happened. */
    this.stale = { picture: false, labels: false };
    this.player = new Player(session, (painting, to) => this.#commitPainting(painting, to));
    this.single = new Single(session, pictures, layout, (position) => this.#noteBroken(position));
    this.grid = new Grid(session, pictures);
    this.panel = new Panel(session);
    this.overview = new Overview(session, entries, round, layout, {
      onShow: (position) => this.#showPosition(position),
      onFix: () => this.#commitFixes(entries.fixes),
      onMoved: (operation) => this.#commitMoved(operation),
    });
    this.review = new Review(
      session,
      new ChangeList(session, pictures, (position) => this.#showPosition(position)),
      () => outbox.unsent,
    );
    this.actions = createActions(this.#actionContext());
    this.storePlaceSoon = throttled(PLACE_MS, () => this.#storePlace());
  }

  #actionContext() {
    const { session, player, grid } = this;
    return new ActionContext(session, player, {
      commit: (operation) => this.#commit(operation),
      toast,
      openDialog: (dialog) => this.#openDialog(dialog),
      togglePanel,
      shiftBy: () => Math.min(Math.max(Math.trunc(Number(field("shift-by").value)) || 1, 1), 999),
      columns: () => grid.columns,
      zoomCurve: () => this.single.curve.switchZoom(),
    });
  }

  /** Show the work where one was last, and begin to send. */
  async start() {
    const { outbox, writer, session, panel, player } = this;
    this.#listen();
    buildGridLabels(this.store);
    session.openHash(
      this.#placeBeforeReload() ||
        location.hash ||
        (await outbox.storedPlace()) ||
        this.#firstPlace(),
    );
    panel.renderCounts();
    panel.renderFilter();
    this.#renderPlayer();
    this.#renderView();
    if (writer.epoch) outbox.start(writer.epoch);
    else this.#loseLease();
    showCondition(outbox, session.readOnly);
    startHeartbeat(outbox, writer, session);
    pollFindings(session, player, this.overview);
    pollModel(session, player, () => this.#showModel());
    this.#showModel();
    document.body.dataset.ready = "yes";
  }

  /** Return where a new user begins: at what there is to know, if there is something. */
  #firstPlace() {
    const isJudged = this.session.model.status !== "none";
    return isJudged || this.overview.hasNews ? "#view=overview" : "#view=single";
  }

  /** Show what the model says, or how far it is. */
  #showModel() {
    const { model } = this.session;
    this.panel.renderModel();
    this.overview.render();
    this.#renderLabelsSoon();
    if (model.status === "failed") toast(modelText(model));
  }

  #listen() {
    const { session, player, single, grid, actions } = this;
    this.#listenToSession();
    this.#listenToWork();
    this.#listenToWindow();
    listenToKeys(session, player, single, actions);
    listenToMouse(session, player, grid, actions);
    single.overlay.listen(actions.steer);
    single.curve.listen(() => player.stop());
    for (const dialog of document.querySelectorAll("dialog")) {
      dialog.querySelector(".close")?.addEventListener("click", () => dialog.close());
    }
    byId("go-to").addEventListener("submit", () => this.#goToTyped());
  }

  #listenToSession() {
    const { session, panel, grid } = this;
    session.addEventListener("view", () => this.#renderView());
    session.addEventListener("place", () => {
      if (session.view === "single") this.#renderSingleSoon();
      if (session.view === "grid") grid.reveal();
      panel.renderJson();
      this.storePlaceSoon();
    });
    session.addEventListener("order", () => {
      panel.renderFilter();
      if (session.view === "single") this.#renderSingleSoon();
      if (session.view === "grid") this.#render("grid");
      this.storePlaceSoon();
    });
    session.addEventListener("filter", () => this.#storePlace());
    session.addEventListener("selection", () => {
      panel.renderSelection();
      this.#renderLabelsSoon();
    });
    session.addEventListener("active", () => {
      const button = byId("switch-attribute");
      button.replaceChildren(`Digits set ${session.active} `, make("kbd", {}, "T"));
      this.#renderLabelsSoon();
    });
    session.addEventListener("read-only", () => {
      document.body.classList.toggle("read-only", session.readOnly);
      showCondition(this.outbox, session.readOnly);
    });
  }

  /** Listen to what changes labels, and to what saves the changes. */
  #listenToWork() {
    const { session, store, outbox, writer, player, panel } = this;
    store.addEventListener("change", () => {
      panel.renderCounts();
      this.#renderLabelsSoon();
      if (session.view === "review" || session.view === "overview") this.#render(session.view);
    });
    player.addEventListener("change", () => this.#renderPlayer());
    outbox.addEventListener("condition", () => {
      if (outbox.condition === "stale") this.#loseLease();
      if (outbox.condition === "elsewhere") session.setReadOnly(true);
      // Another tab may have been opened at the new address; whichever it is goes on.
      if (outbox.condition === "locked") writer.release();
      showCondition(outbox, session.readOnly);
    });
    writer.onLost = () => this.#loseLease();
  }

  #listenToWindow() {
    window.addEventListener("pagehide", () => {
      // A reload requests the address as it was loaded, which need not tell where one is now.
      sessionStorage.setItem(this.placeKey, this.session.toHash());
      this.#storePlace();
    });
    window.addEventListener("beforeunload", (event) => {
      if (this.outbox.mustStayOpen) event.preventDefault();
    });
    window.addEventListener("hashchange", (event) => {
      // Not location.hash, which may have been overwritten since.
      this.session.openHash(new URL(event.newURL).hash);
    });
  }

  /** @param {View} view */
  #render(view) {
    if (view === "grid") {
      this.grid.render();
      this.grid.reveal();
    } else this[view].render();
  }

  /** Render the picture of Single and its label, once for all that one key changes. */
  #renderSingleSoon() {
    this.stale.picture = true;
    this.#renderLabelsSoon();
  }

  /** Render the labels of the pictures in sight, once for all that one key changes. */
  #renderLabelsSoon() {
    if (this.stale.labels) return;
    this.stale.labels = true;
    queueMicrotask(() => this.#renderStale());
  }

  #renderStale() {
    const { session, single, grid, stale } = this;
    if (session.view === "grid") grid.renderLabels();
    if (session.view === "single") {
      if (stale.picture) single.render();
      else single.renderLabel();
    }
    this.stale = { picture: false, labels: false };
  }

  #renderView() {
    const current = this.session.view;
    for (const view of VIEWS) byId(view).hidden = view !== current;
    for (const button of document.querySelectorAll("nav [data-view]")) {
      if (button.getAttribute("data-view") === current) button.setAttribute("aria-current", "page");
      else button.removeAttribute("aria-current");
    }
    document.body.dataset.view = current;
    if (current !== "single") this.player.stop();
    this.#render(current);
    // So that the arrow keys are not the browser's own scrolling of something else.
    if (current === "grid") byId("scroller").focus({ preventScroll: true });
    this.#storePlace();
  }

  #renderPlayer() {
    const { playing, painting, rate } = this.player;
    setText(byId("rate"), `${rate}/s`);
    byId("play").replaceChildren(playing ? "Stop " : "Play ", make("kbd", {}, "Space"));
    document.body.classList.toggle("playing", playing);
    if (painting) toast(`painting ${painting.attribute} ${painting.value} …`);
  }

  /** @param {Operation} operation */
  #commit(operation) {
    this.outbox.add(operation);
  }

  /**
   * Set the class of the pictures that passed while its key was held.
   * @param {Painting} painting
   * @param {number} to  last position
   */
  #commitPainting({ attribute, value, from }, to) {
    const { session, store } = this;
    const [first, last] = from < to ? [from, to] : [to, from];
    const passed = positionsOf([[first, last]]).filter((position) =>
      canBeLabelled(store, session.findings, position),
    );
    const same = store.withClassesOf(session.position, passed);
    const operation = store.label(same, attribute, value, "painted ");
    if (!operation) return;
    this.#commit(operation);
    session.refresh(session.listed, "never");
    toast(`${count(sizeOf(operation), "picture")} → ${attribute} ${value} (undo: Ctrl+Z)`);
  }

  /** @param {Operation} operation  that moved the labels of a drive */
  #commitMoved(operation) {
    const { session } = this;
    this.#commit(operation);
    session.refresh(session.listed, "gone");
    toast(`${count(sizeOf(operation), "label")} moved (undo: Ctrl+Z)`);
  }

  /** @param {import("./types").Fix[]} fixes */
  #commitFixes(fixes) {
    const operation = this.store.fix(fixes);
    if (operation) this.#commit(operation);
    this.overview.render();
  }

  /** @param {number} position  of a picture that the browser could not decode */
  #noteBroken(position) {
    const { broken } = this.session.findings;
    if (!broken.has(position)) broken.set(position, "the picture cannot be decoded");
    this.overview.render();
  }

  /** Show a picture in Single, without the filter if that hides it. @param {number} position */
  #showPosition(position) {
    const { session } = this;
    if (!session.goToPosition(position)) {
      byId("filter-none").click();
      session.goToPosition(position);
    }
    session.showView("single");
  }

  /** @param {"help" | "go-to"} name */
  #openDialog(name) {
    if (name === "help") {
      const { session, store, actions } = this;
      const classes = {
        direction: store.mostClasses("direction"),
        speed: store.mostClasses("speed"),
      };
      buildHelp(session.view, classes, (action) => actions[action](-1));
    }
    /** @type {HTMLDialogElement} */ (byId(name)).showModal();
    if (name === "go-to") field("go-to-text").select();
  }

  /** Go to the picture whose number or id was typed. */
  #goToTyped() {
    const { session, store, player } = this;
    player.stop();
    const typed = field("go-to-text").value.trim();
    const isNumber = /^\d{1,7}$/.test(typed) && Number(typed) <= session.order.length;
    const place = isNumber
      ? Number(typed) - 1
      : session.order.findIndex((position) => store.ids[position].startsWith(typed));
    if (place < 0) toast(`No picture shown is called ${typed}.`);
    else session.goTo(place);
  }

  /** Become read-only, as another tab or browser has the lease. */
  #loseLease() {
    const { session, outbox, writer } = this;
    session.setReadOnly(true);
    outbox.stop();
    const waiting = ` ${changesWait(outbox.unsent)} until you take over.`;
    showBar(
      "stale",
      "Another tab or browser is labelling this folder; this one is read-only." +
        `${outbox.unsent ? waiting : ""}`,
      { text: "Take over", run: () => writer.takeOver() },
    );
  }

  /** Put where one is into the address and into the storage. */
  #storePlace() {
    const hash = this.session.toHash();
    history.replaceState(null, "", hash);
    this.outbox.storePlace(hash);
  }

  /** Return where this tab was when it was reloaded; "" when it was opened in another way. */
  #placeBeforeReload() {
    const place = sessionStorage.getItem(this.placeKey) ?? "";
    sessionStorage.removeItem(this.placeKey);
    const [opening] = performance.getEntriesByType("navigation");
    const isReload = opening instanceof PerformanceNavigationTiming && opening.type === "reload";
    return isReload ? place : "";
  }
}

function togglePanel() {
  document.body.classList.toggle("without-panel");
  window.dispatchEvent(new Event("resize"));
}

/**
 * Add the buttons that set the class of what is selected in the grid.
 * @param {import("./store.js").Store} store
 */
function buildGridLabels(store) {
  for (const attribute of /** @type {ClassName[]} */ (["direction", "speed"])) {
    const classes = store.mostClasses(attribute);
    const buttons = Array.from({ length: classes }, (_, value) => {
      const title = `${attribute} ${value} ${nameOfClass(attribute, value, classes)}`;
      const data = { "data-action": attribute, "data-value": String(value) };
      return make("button", { type: "button", ...data, title }, String(value));
    });
    const group = make("span", { role: "group", "aria-label": attribute });
    group.append(`${attribute} `, ...buttons);
    byId("grid-label").append(group);
  }
}

/**
 * Return a function that runs another soon after it is called, at most once in a while.
 * @param {number} delay
 * @param {() => void} run
 */
function throttled(delay, run) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  return () => {
    timer ??= setTimeout(() => {
      timer = undefined;
      run();
    }, delay);
  };
}

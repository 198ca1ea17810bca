"use strict";

const NARROW = matchMedia("(max-width: 48rem)");
const FIRST_SHOWN = NARROW.matches ? 12 : 24;
const MOST_CLASSES = 10;
const FIRST_MEASURE = "Fidelity";

/* The part of the page about one classifier: which images are shown, at which layer and alpha. */
class Section {
  constructor(section) {
    this.section = section;
    this.data = JSON.parse(section.querySelector(".data").textContent);
    this.layer = Number(section.dataset.start);
    this.alpha = 0;
    this.limit = FIRST_SHOWN;
    this.open = null;
    this.pinned = null;
    this.cards = [...section.querySelectorAll(".card")];
    this.shown = [];
    this.list = this.find(".cards");
    this.sliders = this.all(".alpha");
    this.dialog = this.find("dialog");
    this.filters = this.find(".filters");
    this.listen();
    this.fold();
    this.chooseLayer(this.layer);
    this.filter();
  }

  find(selector) {
    return this.section.querySelector(selector);
  }

  all(selector) {
    return [...this.section.querySelectorAll(selector)];
  }

  /* On a narrow screen, what is not always needed is folded up. */
  fold() {
    for (const part of this.all(".folded")) part.open = !NARROW.matches;
  }

  get decoded() {
    return this.data.decoded[this.layer];
  }

  listen() {
    NARROW.addEventListener("change", () => this.fold());
    const on = (selector, event, action) => this.find(selector)?.addEventListener(event, action);
    for (const radio of this.all(".network input")) {
      radio.addEventListener("change", () => this.chooseLayer(Number(radio.value)));
    }
    for (const slider of this.sliders) {
      slider.addEventListener("input", () => this.chooseAlpha(this.nearest(Number(slider.value))));
      slider.addEventListener("keydown", (event) => this.slide(event));
    }
    for (const selector of [".variant", ".large-layer"]) {
      on(selector, "change", (event) => this.chooseLayer(Number(event.target.value)));
    }
    on(".measure", "change", () => {
      this.drawCurve();
      this.chooseAlpha(this.alpha);
    });
    this.filters.addEventListener("change", () => this.filter());
    this.filters.addEventListener("submit", (event) => event.preventDefault());
    on(".show-all", "click", () => this.showAll());
    on(".show-more", "click", () => this.showMore());
    for (const button of this.all("[data-confusion]")) {
      button.addEventListener("click", () => this.chooseConfusion(button));
    }
    on(".by-curve", "change", (event) => this.bringOut(event.target.value));
    for (const card of this.cards) {
      const number = Number(card.dataset.image);
      card.querySelector(".open").addEventListener("click", () => this.enlarge(number));
    }
    on(".previous", "click", () => this.step(-1));
    on(".next", "click", () => this.step(1));
    on(".pin", "click", () => this.pin());
    on(".close", "click", () => this.dialog.close());
    this.dialog.addEventListener("close", () => this.close());
    this.dialog.addEventListener("keydown", (event) => this.press(event));
  }

  /* Layer and alpha. */

  chooseLayer(number) {
    const place = this.decoded?.places[this.alpha];
    this.layer = number;
    if (!this.decoded) return;
    const { alphas, layer, lost, reference, referenceSaid } = this.decoded;
    this.find(".layer-name").textContent = layer;
    this.find(".large-layer").value = number;
    this.chooseVariants(layer);
    this.list.dataset.layer = number;
    this.list.dataset.decoded = alphas.length ? "yes" : "no";
    for (const card of this.cards) {
      const i = card.dataset.image;
      card.querySelector(".lost").textContent = lost ? `lost ${short(lost[i])}` : "loss unknown";
      if (reference) this.say(card.querySelector(".said-reference"), i, referenceSaid);
    }
    this.drawCurve();
    this.chooseAlpha(this.nearest(place));
    if (this.open === null && this.find(".order").value === "lost") this.filter();
  }

  /* The alpha of these decoders that lies nearest to a place on the axis. */
  nearest(place = 0) {
    const distance = (alpha) => Math.abs(this.decoded.places[alpha] - place);
    return this.decoded.places.reduce((best, _, alpha) => (distance(alpha) < distance(best) ? alpha : best), 0);
  }

  /* The keys of a slider, which else would know nothing of the places of its alphas. */
  slide(event) {
    const last = this.decoded.alphas.length - 1;
    const keys = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, Home: -last, End: last };
    if (!(event.key in keys)) return;
    event.preventDefault();
    this.chooseAlpha(Math.max(0, Math.min(last, this.alpha + keys[event.key])));
  }

  /* The ways in which a layer is decoded, to choose from where there are several. */
  chooseVariants(layer) {
    const select = this.find(".variant");
    const own = this.data.decoded.map((each, i) => [each, i]).filter(([each]) => each.layer === layer);
    const name = (label) => label.slice(layer.length).replace(/^, /, "") || "one network for each alpha";
    select.replaceChildren(...own.map(([each, i]) => element("option", { value: i }, name(each.label))));
    select.value = this.layer;
    select.hidden = own.length < 2;
    const node = this.find(`.network input[value="${own[0][1]}"]`);
    node.checked = true;
    const flow = this.find(".flow");
    flow.scrollLeft = node.parentElement.offsetLeft - (flow.clientWidth - node.parentElement.offsetWidth) / 2;
  }

  chooseAlpha(alpha) {
    this.alpha = alpha;
    this.list.dataset.alpha = alpha;
    const { alphas, places, measures, said } = this.decoded;
    const text = alphas[alpha] ?? "none";
    for (const slider of this.sliders) {
      slider.value = places[alpha] ?? slider.min;
      slider.setAttribute("aria-valuetext", `alpha ${text}`);
    }
    for (const output of this.all(".alpha-value")) output.textContent = text;
    for (const marker of this.all(".marker")) {
      marker.classList.toggle("shown", marker.matches(`.drawn *, [data-variant="${this.layer}"] *`));
      marker.style.setProperty("--place", `${places[alpha] ?? 0}px`);
    }
    const measured = this.find(".measured");
    if (measured) measured.textContent = measures[alpha]?.[this.find(".measure").value] ?? "";
    for (const card of this.cards) {
      const answer = card.querySelector(".said-cladec");
      if (said[alpha]) this.say(answer, card.dataset.image, said[alpha]);
      else answer.textContent = "";
    }
    if (this.open !== null) this.fill();
    this.remember();
  }

  say(place, image, answers) {
    place.textContent = this.data.classes[answers[image]];
    place.classList.toggle("changed", answers[image] !== this.data.predicted[image]);
  }

  /* The curve of one measure beside the layers: a copy of that further down. */
  drawCurve() {
    const select = this.find(".measure");
    if (!select) return;
    const wanted = select.value;
    const figures = this.all(`.charts[data-variant="${this.layer}"] figure`);
    const titles = figures.map((figure) => figure.querySelector("figcaption").firstChild.textContent.trim());
    const title = titles.includes(wanted) ? wanted : titles.includes(FIRST_MEASURE) ? FIRST_MEASURE : titles[0];
    select.replaceChildren(...titles.map((each) => element("option", {}, each)));
    if (title) select.value = title;
    const chart = figures[titles.indexOf(title)]?.querySelector("svg");
    this.find(".drawn").replaceChildren(...(chart ? [chart.cloneNode(true)] : []));
    this.find(".measure-choice").hidden = !chart;
    this.find(".unmeasured").hidden = Boolean(chart);
  }

  /* Which images are shown. */

  filter() {
    const { labels, predicted } = this.data;
    const [byClass, answer, confusion, order] = ["by-class", "by-answer", "by-confusion", "order"].map(
      (name) => this.find(`.${name}`).value,
    );
    const lost = this.decoded?.lost;
    const wanted = (i) =>
      (byClass === "" || labels[i] === Number(byClass)) &&
      (answer === "" || (answer === "right") === (labels[i] === predicted[i])) &&
      (confusion === "" || confusion === `${labels[i]}-${predicted[i]}`);
    this.shown = labels.map((_, i) => i).filter(wanted);
    if (order === "lost" && lost) this.shown.sort((a, b) => lost[b] - lost[a]);
    if (order === "class") this.shown.sort((a, b) => labels[a] - labels[b] || predicted[a] - predicted[b]);
    for (const button of this.all("[data-confusion]")) {
      button.setAttribute("aria-pressed", button.dataset.confusion === confusion);
    }
    this.limit = FIRST_SHOWN;
    this.show();
    this.remember();
  }

  show() {
    for (const card of this.cards) card.hidden = true;
    for (const number of this.shown.slice(0, this.limit)) {
      this.cards[number].hidden = false;
      this.list.append(this.cards[number]);
    }
    const visible = Math.min(this.limit, this.shown.length);
    const total = this.cards.length;
    this.find(".count").textContent =
      this.shown.length === 0
        ? "None of the images in this report; a report with more --images may have some."
        : `${visible} of ${this.shown.length} images` +
          (this.shown.length < total ? ` that match, of ${total} in this report` : "");
    this.find(".show-more").hidden = visible === this.shown.length;
  }

  showMore() {
    const first = this.shown[this.limit];
    this.limit += 2 * FIRST_SHOWN;
    this.show();
    this.cards[first].querySelector(".open").focus();
  }

  showAll() {
    this.filters.reset();
    this.filter();
  }

  chooseConfusion(button) {
    this.filters.reset();
    this.offer(button.dataset.confusion, button.getAttribute("aria-label") ?? button.textContent);
    this.filter();
    this.find(".choosing").open = true;
    this.filters.scrollIntoView({ block: "center" });
    this.find(".by-confusion").focus({ preventScroll: true });
  }

  offer(pair, text) {
    const select = this.find(".by-confusion");
    const known = [...select.options].some((option) => option.value === pair);
    if (!known) select.append(element("option", { value: pair }, text));
    select.value = pair;
  }

  bringOut(number) {
    for (const line of this.all(".line[data-class]")) {
      line.classList.toggle("brought-out", line.dataset.class === number);
      line.classList.toggle("faded", number !== "" && line.dataset.class !== number);
    }
  }

  /* The large view. */

  enlarge(number) {
    this.open = number;
    this.fill();
    if (!this.dialog.open) this.dialog.showModal();
  }

  step(by) {
    const place = this.shown.indexOf(this.open) + by;
    this.open = this.shown[(place + this.shown.length) % this.shown.length];
    this.fill();
  }

  press(event) {
    if (event.target.matches("input, select")) return;
    const image = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const layer = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (image) this.step(image);
    if (layer && this.data.decoded[this.layer + layer]) this.chooseLayer(this.layer + layer);
    if (image || layer) event.preventDefault();
  }

  pin() {
    this.pinned = this.pinned ? null : { image: this.open, layer: this.layer, alpha: this.alpha };
    this.fill();
  }

  /* Back at the images, which may have another order if another layer was chosen. */
  close() {
    const { open } = this;
    this.open = this.pinned = null;
    this.filter();
    if (this.shown.indexOf(open) >= this.limit) {
      this.limit = this.shown.indexOf(open) + 1;
      this.show();
    }
    this.cards[open].querySelector(".open").focus();
  }

  fill() {
    const now = { image: this.open, layer: this.layer, alpha: this.alpha };
    const states = this.pinned ? [this.pinned, now] : [now];
    this.find(".panes").replaceChildren(...states.map((state) => this.pane(state)));
    this.find(".place").textContent = `${this.shown.indexOf(this.open) + 1} of ${this.shown.length}`;
    const pin = this.find(".pin");
    pin.setAttribute("aria-pressed", this.pinned !== null);
    pin.textContent = this.pinned ? "Unpin" : "Pin";
    this.remember();
  }

  /* All that is known of an image, as decoded from a layer at an alpha. */
  pane({ image, layer, alpha }) {
    const { classes, labels, predicted, rows } = this.data;
    const decoded = this.data.decoded[layer];
    const pane = this.find(".pane-template").content.firstElementChild.cloneNode(true);
    const write = (selector, text) => {
      for (const place of pane.querySelectorAll(selector)) place.textContent = text;
    };
    const card = this.cards[image];
    for (const axis of ["--x", "--y"]) pane.style.setProperty(axis, card.style.getPropertyValue(axis));
    pane.dataset.layer = layer;
    pane.dataset.alpha = alpha;
    const verdict = labels[image] === predicted[image] ? "right" : "wrong";
    write(".pane-title", `${classes[labels[image]]} - ${classes[predicted[image]]} (${verdict}), test image ${rows[image]}`);
    write(".of-class", classes[predicted[image]]);
    if (decoded) {
      write(".pane-where", `Layer ${decoded.label}, alpha ${decoded.alphas[alpha] ?? "none"}`);
      write(".of-layer", decoded.layer);
      write(".of-alpha", decoded.alphas[alpha] ?? "none");
      write(".sum", decoded.lost ? `${short(decoded.lost[image])} in all` : "is not known");
    }
    pane.querySelector(".answers tbody").replaceChildren(...this.answers(image, decoded, alpha));
    for (const figure of pane.querySelectorAll(".maps figure")) {
      const { count, effects } = this.data.maps[figure.dataset.map];
      figure.hidden = image >= count;
      figure.querySelector(".effect").textContent = effects[image] ?? "";
    }
    return pane;
  }

  /* The rows of the probabilities: of all classes, or of those that matter for this image. */
  answers(image, decoded, alpha) {
    const { classes, labels, probabilities } = this.data;
    const columns = [probabilities[image]];
    if (decoded) columns.push(decoded.reference?.[image], decoded.cladec[alpha]?.[image]);
    const strongest = (k) => Math.max(...columns.map((column) => column?.[k] ?? 0));
    const order = classes.map((_, k) => k);
    if (classes.length > MOST_CLASSES) order.sort((a, b) => strongest(b) - strongest(a)).splice(MOST_CLASSES);
    return order.map((k) =>
      element(
        "tr",
        { class: k === labels[image] ? "true" : "" },
        element("th", { scope: "row" }, classes[k]),
        ...columns.map((column) => probabilityCell(column && (column[k] ?? 0))),
      ),
    );
  }

  /* The address: what is shown can be sent as a link. */

  remember() {
    if (!this.ready) return;
    clearTimeout(this.remembering);
    const write = () => history.replaceState(null, "", `#${this.section.id}?${new URLSearchParams(this.state())}`);
    this.remembering = setTimeout(write, 200); // browsers refuse an address that changes too often
  }

  state() {
    const { rows } = this.data;
    const state = {};
    const say = ({ image, layer, alpha }) => [rows[image], layer, alpha].join(".");
    if (this.decoded) Object.assign(state, { layer: this.decoded.label, alpha: this.decoded.alphas[this.alpha] ?? "" });
    for (const select of this.filters.querySelectorAll("select")) {
      if (select.selectedIndex > 0) state[select.className] = select.value;
    }
    if (this.open !== null) state.image = rows[this.open];
    if (this.pinned) state.pinned = say(this.pinned);
    return state;
  }

  recall(state) {
    const { decoded, rows } = this.data;
    const layer = decoded.findIndex((each) => each.label === state.get("layer"));
    if (layer >= 0) this.chooseLayer(layer);
    const alpha = this.decoded?.alphas.indexOf(state.get("alpha")) ?? -1;
    if (alpha >= 0) this.chooseAlpha(alpha);
    for (const select of this.filters.querySelectorAll("select")) {
      const value = state.get(select.className);
      if (value !== null) this.restore(select, value);
    }
    this.filter();
    const [image, ...pinned] = (state.get("pinned") ?? "").split(".").map(Number);
    if (rows.includes(image) && decoded[pinned[0]]?.alphas[pinned[1]]) {
      this.pinned = { image: rows.indexOf(image), layer: pinned[0], alpha: pinned[1] };
    }
    const open = rows.indexOf(Number(state.get("image")));
    if (state.has("image") && open >= 0) this.enlarge(open);
  }

  restore(select, value) {
    const button = this.find(`[data-confusion="${CSS.escape(value)}"]`);
    if (select.matches(".by-confusion") && button) {
      this.offer(value, button.getAttribute("aria-label") ?? button.textContent);
    } else if ([...select.options].some((option) => option.value === value)) {
      select.value = value;
    }
  }
}

function probabilityCell(thousandths) {
  if (thousandths === undefined) return element("td", {}, "none");
  const bar = element("i", {});
  bar.style.setProperty("--share", thousandths / 1000);
  const text = `${(thousandths / 10).toFixed(1)} %`;
  return element("td", {}, element("span", { class: "probability" }, element("span", {}, text), bar));
}

/* A number in a few letters. */
function short(value) {
  const text = Math.abs(value) >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(2)));
  return text.replace("-", "\u2212");
}

/* An element with attributes and children; text is never read as HTML. */
function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function makeSortable(table) {
  const headers = [...table.querySelectorAll("thead tr:last-child th")];
  headers.forEach((header, column) => {
    header.querySelector(".sort").addEventListener("click", () => {
      const ascending = header.getAttribute("aria-sort") !== "ascending";
      for (const other of headers) other.removeAttribute("aria-sort");
      header.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      sortRows(table.tBodies[0], column, ascending);
    });
  });
}

/* Numbers by size, anything else by its letters; empty cells always last. */
function sortRows(body, column, ascending) {
  const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
  const compare = (a, b) => {
    const [x, y] = [value(a), value(b)];
    if (x === "" || y === "") return (x === "") - (y === "");
    const difference = Number(x) - Number(y);
    const order = Number.isNaN(difference) ? x.localeCompare(y) : difference;
    return ascending ? order : -order;
  };
  body.append(...[...body.rows].sort(compare));
}

/* Show what the address says. */
function follow(sections) {
  const [id, query] = location.hash.slice(1).split("?");
  const section = sections.find((each) => each.section.id === id);
  if (!section || query === undefined) return;
  section.recall(new URLSearchParams(query));
  section.section.scrollIntoView();
}

const sections = [...document.querySelectorAll(".of-classifier")].map((section) => new Section(section));
for (const table of document.querySelectorAll(".sortable")) makeSortable(table);
follow(sections);
for (const section of sections) section.ready = true;
addEventListener("hashchange", () => follow(sections));

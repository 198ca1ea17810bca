"use strict";

const FIRST_SHOWN = matchMedia("(max-width: 34rem)").matches ? 12 : 24;
const MOST_CLASSES = 10;

class Section {
  constructor(section) {
    this.section = section;
    this.data = JSON.parse(section.querySelector(".data").textContent);
    this.layer = 0;
    this.alpha = 0;
    this.limit = FIRST_SHOWN;
    this.open = null;
    this.cards = [...section.querySelectorAll(".card")];
    this.shown = [];
    this.list = section.querySelector(".cards");
    this.sliders = [...section.querySelectorAll(".alpha")];
    this.dialog = section.querySelector("dialog");
    this.filters = section.querySelector(".filters");
    this.listen();
    this.chooseLayer(0);
  }

  find(selector) {
    return this.section.querySelector(selector);
  }

  get decoded() {
    return this.data.decoded[this.layer];
  }

  listen() {
    for (const radio of this.section.querySelectorAll(".layers input")) {
      radio.addEventListener("change", () => this.chooseLayer(Number(radio.value)));
    }
    for (const slider of this.sliders) {
      slider.addEventListener("input", () => this.chooseAlpha(Number(slider.value)));
    }
    this.filters.addEventListener("change", () => this.filter());
    this.filters.addEventListener("submit", (event) => event.preventDefault());
    this.find(".show-all").addEventListener("click", () => this.showAll());
    this.find(".show-more").addEventListener("click", () => this.showMore());
    for (const button of this.section.querySelectorAll("[data-confusion]")) {
      button.addEventListener("click", () => this.chooseConfusion(button));
    }
    this.find(".by-curve").addEventListener("change", (event) => this.bringOut(event.target.value));
    for (const card of this.cards) {
      const number = Number(card.dataset.image);
      card.querySelector(".open").addEventListener("click", () => this.enlarge(number));
    }
    this.find(".previous").addEventListener("click", () => this.step(-1));
    this.find(".next").addEventListener("click", () => this.step(1));
    this.find(".close").addEventListener("click", () => this.dialog.close());
    this.dialog.addEventListener("close", () => this.close());
    this.dialog.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (step && event.target.type !== "range") this.step(step);
    });
    this.dialog.addEventListener("click", (event) => {
      if (event.target === this.dialog) this.dialog.close();
    });
  }

  chooseLayer(layer) {
    this.layer = layer;
    this.section.dataset.layer = layer;
    if (!this.decoded) return this.filter();
    const last = Math.max(0, this.decoded.alphas.length - 1);
    for (const slider of this.sliders) slider.max = last;
    for (const name of this.section.querySelectorAll(".layer-name")) name.textContent = this.decoded.layer;
    for (const card of this.cards) {
      const lost = this.decoded.lost;
      card.querySelector(".lost").textContent = lost ? `lost ${lost[card.dataset.image].toFixed(1)}` : "";
    }
    this.chooseAlpha(Math.min(this.alpha, last));
    this.filter();
  }

  chooseAlpha(alpha) {
    this.alpha = alpha;
    this.section.dataset.alpha = alpha;
    const text = this.decoded.alphas[alpha] ?? "none";
    for (const slider of this.sliders) {
      slider.value = alpha;
      slider.setAttribute("aria-valuetext", `alpha ${text}`);
    }
    for (const output of this.section.querySelectorAll(".alpha-value")) output.textContent = text;
    const measures = Object.entries(this.decoded.measures[alpha] ?? {});
    this.find(".readout").replaceChildren(
      ...measures.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))),
    );
    if (this.open !== null) this.fill();
  }

  /* The images that are asked for, in the order asked for. */
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
    for (const button of this.section.querySelectorAll("[data-confusion]")) {
      button.setAttribute("aria-pressed", button.dataset.confusion === confusion);
    }
    this.limit = FIRST_SHOWN;
    this.show();
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
    const pair = button.dataset.confusion;
    this.filters.reset();
    const select = this.find(".by-confusion");
    if (![...select.options].some((option) => option.value === pair)) {
      select.append(element("option", { value: pair }, `${button.getAttribute("aria-label") ?? button.textContent}`));
    }
    select.value = pair;
    this.filter();
    this.find(".filters").scrollIntoView({ block: "center" });
    select.focus({ preventScroll: true });
  }

  bringOut(number) {
    for (const line of this.section.querySelectorAll(".line[data-class]")) {
      line.classList.toggle("brought-out", line.dataset.class === number);
      line.classList.toggle("faded", number !== "" && line.dataset.class !== number);
    }
  }

  enlarge(number) {
    this.open = number;
    this.fill();
    this.dialog.showModal();
  }

  step(by) {
    const place = this.shown.indexOf(this.open) + by;
    this.open = this.shown[(place + this.shown.length) % this.shown.length];
    this.fill();
  }

  close() {
    this.cards[this.open]?.querySelector(".open").focus();
    this.open = null;
  }

  /* Fill the large view with the open image. */
  fill() {
    const { classes, labels, predicted, rows, probabilities } = this.data;
    const i = this.open;
    const card = this.cards[i];
    for (const axis of ["--x", "--y"]) this.dialog.style.setProperty(axis, card.style.getPropertyValue(axis));
    const verdict = labels[i] === predicted[i] ? "right" : "wrong";
    this.find(".large-title").textContent =
      `${classes[labels[i]]} - ${classes[predicted[i]]} (${verdict}), test image ${rows[i]}`;
    const columns = [probabilities[i]];
    if (this.decoded) columns.push(this.decoded.reference?.[i], this.decoded.cladec[this.alpha]?.[i]);
    const strongest = (k) => Math.max(...columns.map((column) => column?.[k] ?? 0));
    const order = classes.map((_, k) => k);
    if (classes.length > MOST_CLASSES) order.sort((a, b) => strongest(b) - strongest(a)).splice(MOST_CLASSES);
    this.find(".answers tbody").replaceChildren(
      ...order.map((k) =>
        element(
          "tr",
          { class: k === labels[i] ? "true" : "" },
          element("th", { scope: "row" }, classes[k]),
          ...columns.map((column) => probabilityCell(column?.[k])),
        ),
      ),
    );
    for (const figure of this.dialog.querySelectorAll(".maps figure")) {
      figure.hidden = i >= Number(figure.dataset.count);
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

/* An element with attributes and children; text is never read as HTML. */
function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function makeSortable(table) {
  const headers = [...table.querySelectorAll("thead th")];
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

for (const section of document.querySelectorAll(".of-classifier")) new Section(section);
for (const table of document.querySelectorAll(".sortable")) makeSortable(table);

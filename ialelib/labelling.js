// The page side of ialelib.label_view.LabelView, which describes the messages.
// The reader's steps are shown at once and sent as (image, class) pairs; `waiting` holds those
// that Python has not yet put on disk.

const element = (tag, name, attributes = {}) => {
  const made = document.createElement(tag);
  made.className = name;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
};

const PATIENCE = 4000; // milliseconds after which the reader is told that nothing is saved yet

class Page {
  constructor(model, root) {
    Object.assign(this, { model, root, waiting: [], step: 0, current: 0, late: false });
    this.view = Math.random().toString(36).slice(2);
    this.build();
    this.drawBatch(false);
    this.listen();
  }

  // What is to be seen

  build() {
    const root = this.root;
    root.classList.add("iale-labelling");
    root.dataset.lmSuppressShortcuts = "true"; // else JupyterLab takes the keys for its own
    this.grid = element("div", "grid", { role: "listbox", "aria-label": "Images of this batch" });
    this.curve = element("div", "plot");
    this.buttons = element("div", "classes", { role: "group", "aria-label": "Classes" });
    this.tools = element("div", "tools", { role: "group", "aria-label": "Go on or back" });
    this.status = element("div", "status", { role: "status", "aria-live": "polite" });
    this.alert = element("div", "alert", { role: "alert" });
    this.classButtons = this.model.get("classes").map(({ name, key }, number) => {
      const button = this.button(this.buttons, name, key, () => this.label(number));
      button.setAttribute("aria-pressed", "false");
      return button;
    });
    this.button(this.tools, "Previous image", "←", () => this.move(-1));
    this.button(this.tools, "Next image", "→", () => this.move(1));
    this.undoButton = this.button(this.tools, "Take back", "⌫", () => this.undo());
    this.nextButton = this.button(this.tools, "Next batch", "↵", () => this.next());
    const left = element("div", "left");
    left.append(this.grid, this.buttons, this.tools, this.status, this.alert);
    root.append(left, this.curve);
  }

  button(parent, name, key, act) {
    const button = element("button", "button", { type: "button", title: name });
    const text = element("span", "name");
    text.textContent = name;
    if (key) {
      const hint = element("kbd", "key", { "aria-hidden": "true" });
      hint.textContent = key;
      button.append(hint);
    }
    button.append(text);
    button.addEventListener("click", act);
    parent.append(button);
    return button;
  }

  drawBatch(focus) {
    const [width, height] = this.model.get("size");
    const images = this.model.get("images");
    this.grid.style.setProperty("--width", `${width}px`);
    this.grid.style.setProperty("--columns", images.length > 20 ? 10 : 5);
    this.cells = images.map(({ src }, place) => {
      const cell = element("div", "cell", { role: "option" });
      const image = element("img", "image", { src, width, height, draggable: "false" });
      const caption = element("span", "caption", { "aria-hidden": "true" });
      cell.append(image, caption);
      cell.addEventListener("click", () => this.go(place));
      return cell;
    });
    this.grid.replaceChildren(...this.cells);
    this.shown = images.map(({ index }) => index).join();
    this.current = this.open(-1);
    this.draw();
    if (focus) this.focusCurrent();
  }

  draw() {
    const { number, finished, busy, messages, total } = this.model.get("state");
    const images = this.model.get("images");
    const labels = this.labels();
    images.forEach(({ index }, place) => this.drawCell(this.cells[place], index, labels, place));
    const here = labels.get(images[this.current]?.index);
    this.classButtons.forEach((button, number) => {
      button.setAttribute("aria-pressed", String(here === number));
      button.setAttribute("aria-disabled", String(this.current < 0));
    });
    const left = images.length - labels.size;
    const blocked = Boolean(busy) || this.asked || finished || left > 0;
    this.root.setAttribute("aria-busy", String(Boolean(busy)));
    this.undoButton.setAttribute("aria-disabled", String(!this.history().length || !!busy));
    this.nextButton.setAttribute("aria-disabled", String(blocked));
    this.nextButton.classList.toggle("ready", !blocked);
    this.status.textContent = busy ? `${busy} …` : this.said(labels, images, finished);
    this.root.dataset.batch = number;
    this.root.dataset.total = total;
    const late = this.late && !busy ? ["The kernel does not answer: nothing after the last "
      + "saved label is kept yet. Is it busy or stopped?"] : [];
    this.alert.textContent = [...messages, ...late].join(" ");
    const curve = this.model.get("curve");
    if (curve !== this.drawn) this.curve.innerHTML = this.drawn = curve;
  }

  drawCell(cell, index, labels, place) {
    const class_ = labels.get(index);
    const name = class_ === undefined ? "" : this.model.get("classes")[class_].name;
    const saved = !this.waiting.some((step) => step.index === index);
    cell.firstChild.alt = name ? `image ${index}, labelled ${name}` : `image ${index}, not labelled yet`;
    cell.lastChild.textContent = name ? `${saved ? "✓" : "…"} ${name}` : "–";
    cell.lastChild.title = name;
    const current = place === this.current;
    cell.setAttribute("aria-selected", String(current));
    const stop = this.current < 0 ? this.cells.length - 1 : this.current;
    cell.tabIndex = place === stop ? 0 : -1;
    cell.dataset.saved = String(saved && Boolean(name));
  }

  said(labels, images, finished) {
    if (!images.length) return "No batch yet: “Next batch” chooses one.";
    const count = `${labels.size} of ${images.length} labelled`;
    const last = this.history().at(-1);
    const parts = [count];
    if (last) {
      const name = this.model.get("classes")[last.class].name;
      parts.push(`image ${last.index}: ${name}, ${this.waiting.length ? "saving …" : "saved"}`);
    }
    if (finished) parts.push("the whole pool is labelled");
    else if (labels.size === images.length) parts.push("Enter for the next batch");
    return parts.join("; ");
  }

  // What the reader has done

  history() {
    const steps = (this.model.get("state").events ?? []).map(([index, class_]) => ({ index, class: class_ }));
    for (const step of this.waiting) {
      if (step.kind === "label") steps.push(step);
      if (step.kind === "undo") steps.pop();
    }
    return steps;
  }

  labels() {
    return new Map(this.history().map((step) => [step.index, step.class]));
  }

  send(content) {
    const step = { ...content, view: this.view, step: ++this.step };
    this.waiting.push(step);
    this.model.send(step);
    clearTimeout(this.clock);
    this.clock = setTimeout(() => { this.late = true; this.draw(); }, PATIENCE);
  }

  label(number) {
    const image = this.model.get("images")[this.current];
    if (!image || this.blocked()) return;
    this.send({ kind: "label", index: image.index, class: number });
    this.go(this.open(this.current), this.inGrid());
  }

  undo() {
    const last = this.history().at(-1);
    if (!last || this.blocked()) return;
    this.send({ kind: "undo", index: last.index });
    const place = this.model.get("images").findIndex(({ index }) => index === last.index);
    this.go(place, this.inGrid() || document.activeElement === this.nextButton);
  }

  next() {
    if (this.nextButton.getAttribute("aria-disabled") === "true") return;
    this.asked = true;
    this.send({ kind: "next", batch: this.model.get("state").number });
    this.draw();
  }

  blocked() {
    return this.asked || Boolean(this.model.get("state").busy);
  }

  // Where the reader is

  open(after) { // the next image without a label; -1: there is none
    const images = this.model.get("images");
    const labels = this.labels();
    const places = images.map((_, step) => (after + 1 + step) % images.length);
    return places.find((place) => !labels.has(images[place].index)) ?? -1;
  }

  move(by) {
    const from = this.current < 0 ? (by < 0 ? this.cells.length : -1) : this.current;
    this.go(Math.min(Math.max(from + by, 0), this.cells.length - 1), this.inGrid());
  }

  go(place, focus = true) {
    this.current = place;
    this.draw();
    if (focus) this.focusCurrent();
  }

  focusCurrent() {
    (this.cells[this.current] ?? this.nextButton).focus();
  }

  inGrid() {
    return this.grid.contains(document.activeElement) || document.activeElement === this.root;
  }

  columns() {
    const top = this.cells[0]?.offsetTop;
    const below = this.cells.findIndex((cell) => cell.offsetTop > top);
    return below < 0 ? this.cells.length : below;
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    event.stopPropagation();
    const onButton = event.target.tagName === "BUTTON";
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.columns(), ArrowDown: this.columns() };
    const classes = this.model.get("classes");
    // Where digits need Shift (AZERTY), the key's place counts.
    const digit = /^Digit\d$/.test(event.code) ? event.code.at(-1) : undefined;
    let number = classes.findIndex(({ key }) => key && key === event.key.toLowerCase());
    if (number < 0 && digit) number = classes.findIndex(({ key }) => key === digit);
    let act;
    if (event.key in steps) act = () => this.move(steps[event.key]);
    else if (event.key === "Backspace") act = () => this.undo();
    else if (event.key === "Enter" && !onButton) act = () => this.next();
    else if (number >= 0) act = () => this.label(number);
    const held = event.repeat && event.key !== "Tab";
    if (act || held) event.preventDefault();
    if (act && (!held || event.key in steps)) act();
  }

  listen() {
    const change = () => {
      const { done } = this.model.get("state");
      const answered = done?.[this.view] ?? 0;
      this.waiting = this.waiting.filter(({ step }) => step > answered);
      if (!this.waiting.length) {
        clearTimeout(this.clock);
        Object.assign(this, { asked: false, late: false });
      }
      const shown = this.model.get("images").map(({ index }) => index).join();
      if (shown !== this.shown) this.drawBatch(this.inGrid() || document.activeElement === this.nextButton);
      else this.draw();
    };
    const key = (event) => this.key(event);
    this.model.on("change:state", change);
    this.root.addEventListener("keydown", key);
    this.stop = () => {
      this.model.off("change:state", change);
      this.root.removeEventListener("keydown", key);
      clearTimeout(this.clock);
    };
  }
}

export default {
  render({ model, el }) {
    const root = document.createElement("div");
    el.append(root);
    const page = new Page(model, root);
    return () => page.stop();
  },
};

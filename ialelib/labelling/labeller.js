// The page side of ialelib.labelling.view.LabelView, which describes the messages.
// The reader's steps are shown at once and sent as (image, class) pairs; `waiting` holds those
// that Python has not yet put on disk.

const element = (tag, properties) => Object.assign(document.createElement(tag), properties);
const say = (node, text) => { // an unchanged text must not be read aloud again
  if (node.textContent !== text) node.textContent = text;
};

const PARTS = `
<div class="left">
  <div class="grid" role="listbox" aria-label="Images of this batch"></div>
  <div class="filter" role="status" hidden></div>
  <div class="classes" role="group" aria-label="Classes"></div>
  <div class="tools" role="group" aria-label="Navigation"></div>
  <div class="status" role="status" aria-live="polite"></div>
  <div class="alert" role="alert"></div>
</div>
<div class="plot"></div>`;

const PATIENCE = 4000; // milliseconds without an answer
const LATE = "No answer from the kernel: labels marked … are not saved. Is it busy or stopped?";
const LOST = "The kernel was restarted or has ended: labels marked ✓ are saved; run the cell again.";
const SKIPPED = -1;
const brief = (name) => name.length > 11 ? `${name.slice(0, 4)}…${name.slice(-5)}` : name;

class Page {
  constructor(model, root) {
    Object.assign(this, { model, root, waiting: [], step: 0, drawn: "", typed: "" });
    this.view = Math.random().toString(36).slice(2);
    this.build();
    this.drawBatch(false);
    this.answered = () => this.answer();
    model.on("change:state", this.answered);
    this.left = () => this.draw((this.lost = true));
    model.on("comm_live_update", this.left);
    this.passed = (event) => { // Ctrl+S and others stay JupyterLab's; single keys are not
      this.root.toggleAttribute("data-lm-suppress-shortcuts", !(event.ctrlKey || event.metaKey));
    };
    window.addEventListener("keydown", this.passed, true);
    root.addEventListener("keydown", (event) => this.key(event));
  }

  // Drawing

  build() {
    this.root.className = "iale-labelling";
    this.root.innerHTML = PARTS;
    for (const name of ["grid", "filter", "classes", "tools", "status", "alert", "plot"]) {
      this[name] = this.root.querySelector(`.${name}`);
    }
    const classes = this.model.get("classes");
    this.classButtons = classes.map(({ name, key }, number) =>
      this.button(this.classes, name, key, () => this.label(number)));
    const briefs = classes.map(({ name }) => brief(name));
    this.briefs = briefs.map((name, number) =>
      briefs.indexOf(name) === briefs.lastIndexOf(name) ? name : `${number + 1}: ${name}`);
    this.filter.hidden = Boolean(classes[0].key);
    this.narrow("");
    this.button(this.tools, "Previous image", "←", () => this.move(-1));
    this.button(this.tools, "Next image", "→", () => this.move(1));
    this.unsureButton = this.button(this.tools, "Unsure", "?", () => this.doubt());
    this.skipButton = this.button(this.tools, "Skip", "-", () => this.skip());
    this.undoButton = this.button(this.tools, "Undo", "⌫", () => this.undo());
    this.earlierButton = this.button(this.tools, "Earlier batch", "PgUp", () => this.earlier());
    this.nextButton = this.button(this.tools, "Next batch", "↵", () => this.next());
    this.exportButton = this.button(this.tools, "Export CSV", "", () => this.send({ kind: "export" }));
  }

  button(parent, name, key, act) {
    const button = element("button", { className: "button", type: "button", title: name });
    const hint = element("kbd", { className: "key", ariaHidden: "true", textContent: key });
    const text = element("span", { className: "name", textContent: name });
    button.append(...(key ? [hint] : []), text);
    button.addEventListener("click", act);
    return parent.appendChild(button);
  }

  drawBatch(focus) {
    const [width, height] = this.model.get("size");
    const images = this.model.get("images");
    this.shown = images.map(({ index }) => index).join();
    this.root.style.setProperty("--width", `${width}px`);
    this.root.style.setProperty("--columns", images.length > 20 ? 10 : 5);
    this.cells = images.map(({ src }, place) => {
      const cell = element("div", { className: "cell", role: "option" });
      const image = element("img", { className: "image", src, width, height, draggable: false });
      cell.append(image, element("span", { className: "caption", ariaHidden: "true" }));
      cell.addEventListener("click", () => this.go(place, true));
      return cell;
    });
    this.grid.replaceChildren(...this.cells);
    const { number, latest } = this.model.get("state");
    this.current = number < latest ? 0 : this.open(-1);
    this.draw();
    if (focus) this.focusCurrent();
  }

  draw() {
    const { number, latest, finished, measured, busy, messages } = this.model.get("state");
    const images = this.model.get("images");
    const labels = this.labels();
    this.blocked = Boolean(busy || this.asked || this.lost);
    images.forEach(({ index }, place) => this.drawCell(place, index, labels.get(index)));
    const here = labels.get(images[this.current]?.index);
    this.classButtons.forEach((button, class_) => {
      button.ariaPressed = String(here === class_);
      button.ariaDisabled = String(this.current < 0 || this.blocked);
    });
    const more = number < latest || !(finished && measured) && labels.size === images.length;
    const ready = !this.blocked && more;
    this.over = ready && this.current < 0; // nothing is left to label, by class buttons either
    this.root.ariaBusy = String(Boolean(busy));
    this.unsureButton.ariaPressed = String(Boolean(this.doubted));
    this.skipButton.ariaDisabled = String(this.current < 0 || this.blocked);
    this.undoButton.ariaDisabled = String(!labels.size || number < latest || this.blocked);
    this.exportButton.ariaDisabled = String(Boolean(this.lost));
    this.earlierButton.ariaDisabled = String(!(number > 1) || this.blocked);
    this.nextButton.ariaDisabled = String(!ready);
    this.nextButton.classList.toggle("ready", ready);
    this.root.dataset.batch = number;
    say(this.status, busy ? `${busy} …` : this.said(labels, images, finished, measured));
    const trouble = this.lost ? [LOST] : this.late && !busy ? [LATE] : [];
    say(this.alert, [...messages, ...trouble].join(" "));
    const curve = this.model.get("curve");
    if (curve !== this.drawn) this.plot.innerHTML = this.drawn = curve;
  }

  drawCell(place, index, class_) {
    const cell = this.cells[place];
    const name = this.named(class_);
    const short = this.briefs[class_] ?? name;
    const doubt = this.unsure(index) ? " ?" : "";
    const saved = !this.waiting.some((step) => step.index === index);
    const said = class_ === SKIPPED ? name : `labelled ${name}${doubt && ", unsure"}`;
    cell.firstChild.alt = `image ${index}, ${name ? said : "not labelled yet"}`;
    cell.lastChild.textContent = name ? `${saved ? "✓" : "…"} ${short}${doubt}` : "–";
    cell.dataset.saved = String(saved && Boolean(name));
    cell.title = name ?? "";
    cell.ariaSelected = String(place === this.current);
    cell.tabIndex = place === Math.max(this.current, 0) ? 0 : -1;
  }

  said(labels, images, finished, measured) {
    if (!images.length) return "No batch yet: “Next batch” chooses one.";
    const { number, latest, note } = this.model.get("state");
    const skipped = [...labels.values()].filter((class_) => class_ === SKIPPED).length;
    const parts = [`${labels.size - skipped} of ${images.length} labelled`];
    if (skipped) parts.push(`${skipped} skipped`);
    if (number < latest) parts.unshift(`batch ${number} of ${latest}`);
    if (note) parts.unshift(note);
    const last = this.history().at(-1);
    if (last) {
      const saved = this.waiting.length ? "saving …" : "saved";
      parts.push(`image ${last.index}: ${this.named(last.class)}, ${saved}`);
    }
    if (number < latest) return [...parts, "Enter for the batch after it"].join("; ");
    if (finished) parts.push("the whole pool is labelled");
    if (finished && !measured) parts.push("Enter for the accuracy");
    if (!finished && labels.size === images.length) parts.push("Enter for the next batch");
    return parts.join("; ");
  }

  named(class_) {
    return class_ === SKIPPED ? "skipped" : this.model.get("classes")[class_]?.name;
  }

  narrow(typed) { // classes without keys: show those whose names hold what was typed
    const wanted = (this.typed = typed).toLowerCase();
    const names = this.model.get("classes").map(({ name }) => name.toLowerCase());
    const found = names.map((name) => name.includes(wanted));
    const first = names.findIndex((name) => name.startsWith(wanted));
    this.best = first < 0 ? found.indexOf(true) : first;
    this.classButtons.forEach((button, number) => {
      button.hidden = !found[number];
      button.classList.toggle("ready", Boolean(typed) && number === this.best);
    });
    const hint = typed ? `${typed}▏ ${this.best < 0 ? "no such class" : "Enter takes the framed one"}`
      : "type part of a class's name";
    say(this.filter, `Class: ${hint}`);
  }

  // What the reader has done

  history() {
    const kept = this.model.get("state").events ?? [];
    const steps = kept.map(([index, class_]) => ({ index, class: class_ }));
    for (const step of this.waiting) {
      if (step.kind === "label") steps.push(step);
      if (step.kind === "skip") steps.push({ ...step, class: SKIPPED });
      if (step.kind === "undo") steps.pop();
    }
    return steps;
  }

  labels() {
    return new Map(this.history().map((step) => [step.index, step.class]));
  }

  unsure(index) {
    const last = this.waiting.findLast((step) => step.index === index);
    if (last) return Boolean(last.unsure);
    return (this.model.get("state").unsure ?? []).includes(index);
  }

  send(content) {
    if (this.lost) return;
    const step = { ...content, view: this.view, step: ++this.step };
    this.waiting.push(step);
    this.model.send(step);
    clearTimeout(this.clock);
    this.clock = setTimeout(() => this.draw((this.late = true)), PATIENCE);
  }

  label(number) {
    const image = this.model.get("images")[this.current];
    if (!image || this.blocked) return;
    this.send({ kind: "label", index: image.index, class: number, unsure: Boolean(this.doubted) });
    this.doubted = false;
    this.narrow("");
    this.onward();
  }

  doubt() { // of the next label
    this.doubted = !this.doubted;
    this.draw();
  }

  skip() {
    const image = this.model.get("images")[this.current];
    if (!image || this.blocked) return;
    this.send({ kind: "skip", index: image.index });
    this.onward();
  }

  onward() { // while an earlier batch is corrected, the frame stays
    const { number, latest } = this.model.get("state");
    this.go(number < latest ? this.current : this.open(this.current));
  }

  undo() {
    const last = this.history().at(-1);
    if (this.undoButton.ariaDisabled === "true") return;
    this.send({ kind: "undo", index: last.index });
    // The focus leaves the button, where Enter would undo the next one.
    this.go(this.model.get("images").findIndex(({ index }) => index === last.index), true);
  }

  next() {
    if (this.nextButton.ariaDisabled === "true") return;
    const { number, latest } = this.model.get("state");
    this.ask(number < latest ? { kind: "show", batch: number + 1 } : { kind: "next", batch: number });
  }

  earlier() {
    if (this.earlierButton.ariaDisabled === "true") return;
    this.ask({ kind: "show", batch: this.model.get("state").number - 1 });
  }

  ask(content) { // for another batch
    this.asked = true;
    this.send(content);
    this.draw();
  }

  // Where the reader is

  open(after) { // the next image without a label; -1: there is none
    const images = this.model.get("images");
    const labels = this.labels();
    const places = images.map((_, step) => (after + 1 + step) % images.length);
    return places.find((place) => !labels.has(images[place].index)) ?? -1;
  }

  move(by) {
    if (!this.cells.length) return;
    const from = this.current < 0 && by < 0 ? this.cells.length : this.current;
    this.go(Math.min(Math.max(from + by, 0), this.cells.length - 1));
  }

  go(place, focus = this.focusFollows()) {
    this.current = place;
    this.draw();
    if (focus) this.focusCurrent();
  }

  focusFollows() { // not from a class button: it is used again and again
    const at = document.activeElement;
    return this.grid.contains(at) || [this.nextButton, this.earlierButton].includes(at);
  }

  focusCurrent() {
    const target = this.cells[this.current] ?? this.nextButton;
    target.focus({ preventScroll: true });
    target.scrollIntoView({ block: "nearest" });
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    event.stopPropagation();
    const onButton = event.target.tagName === "BUTTON";
    const spent = this.over && this.classes.contains(event.target);
    const columns = getComputedStyle(this.grid).gridTemplateColumns.split(" ").length;
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
    const classes = this.model.get("classes");
    // Where digits need Shift (AZERTY), the key's place counts.
    const pressed = /^Digit\d$/.test(event.code) ? event.code.at(-1) : event.key.toLowerCase();
    const number = classes.findIndex(({ key }) => key && key === pressed);
    const typed = this.typed;
    const types = !this.filter.hidden && event.key.length === 1 && (typed || event.key !== " ");
    let act;
    if (event.key in steps) act = () => this.move(steps[event.key]);
    else if (typed && event.key === "Backspace") act = () => this.narrow(typed.slice(0, -1));
    else if (typed && event.key === "Escape") act = () => this.narrow("");
    else if (typed && event.key === "Enter") act = () => this.best >= 0 && this.label(this.best);
    else if (event.key === "Backspace") act = () => this.undo();
    else if (event.key === "PageUp") act = () => this.earlier();
    else if (event.key === "?" && !typed) act = () => this.doubt();
    else if (event.key === "-" && !typed) act = () => this.skip();
    else if (types) act = () => this.narrow(typed + event.key);
    else if (event.key === "Enter" && (!onButton || spent)) act = () => this.next();
    else if (number >= 0) act = () => this.label(number);
    else if (event.key === " " && !onButton) act = () => {}; // else the page scrolls
    // A held key would label image after image.
    const held = event.repeat && event.key !== "Tab" && !(event.key in steps);
    if (act || held) event.preventDefault();
    if (act && !held) act();
  }

  answer() {
    const answered = this.model.get("state").done?.[this.view] ?? 0;
    this.waiting = this.waiting.filter(({ step }) => step > answered);
    if (!this.waiting.length) {
      clearTimeout(this.clock);
      Object.assign(this, { asked: false, late: false });
    }
    const shown = this.model.get("images").map(({ index }) => index).join();
    if (shown === this.shown) this.draw();
    else this.drawBatch(this.focusFollows());
  }

  stop() {
    this.model.off("change:state", this.answered);
    this.model.off("comm_live_update", this.left);
    window.removeEventListener("keydown", this.passed, true);
    clearTimeout(this.clock);
  }
}

export default {
  render({ model, el }) {
    const page = new Page(model, el.appendChild(document.createElement("div")));
    return () => page.stop();
  },
};

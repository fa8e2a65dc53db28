"use strict";
// A network as a picture that folds and zooms. What it shows are layers and groups of layers
// (stages, runs of blocks alike, blocks); ELK says where they stand. Text is only ever put in as
// text: by `make` and `draw`, never as markup.

const ALL = 24; // blocks alike in a row that are shown one by one; of more, the first for all
const MOST = 700; // boxes that are laid out
const PAN = 4; // pixels that a pointer moves before it drags

function make(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

function draw(tag, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) {
      element.setAttribute(name, value === true ? "" : value);
    }
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// A large number for people: 25.6 M
function count(number) {
  let [amount, unit] = [number, ""];
  for (const bigger of [" K", " M", " G", " T"]) {
    if (amount < 999.95) break;
    [amount, unit] = [amount / 1000, bigger];
  }
  return unit ? amount.toFixed(1) + unit : String(number);
}

// Bytes for people: 97.7 MiB
function bytes(number) {
  let [amount, unit] = [number, " B"];
  for (const bigger of [" KiB", " MiB", " GiB"]) {
    if (amount < 1024) break;
    [amount, unit] = [amount / 1024, bigger];
  }
  return (unit === " B" ? String(amount) : amount.toFixed(1)) + unit;
}

// Which layers are pointed at, and which are chosen; every part of a page listens to it.
// Ranges are [first, up to, not including, last] of layer numbers.
class Hub {
  constructor(layers) {
    this.layers = layers;
    this.chosen = [];
    this.listeners = [];
  }

  listen(listener) {
    this.listeners.push(listener);
  }

  point(ranges, origin) {
    this.tell(ranges, origin, false);
  }

  leave(origin) {
    this.tell(this.chosen, origin, false);
  }

  choose(ranges, origin) {
    this.chosen = ranges;
    this.tell(ranges, origin, true);
  }

  tell(ranges, origin, chosen) {
    const lit = new Uint8Array(this.layers);
    for (const [first, last] of ranges) lit.fill(1, first, last);
    for (const listener of this.listeners) listener(lit, ranges, origin, chosen);
  }
}

class Picture {
  constructor(network, settings, hub, level) {
    Object.assign(this, { network, settings, hub });
    this.owner = new Array(network.layers.length);
    this.turn = new Array(network.layers.length);
    this.elk = new ELK();
    this.drawn = 0;
    this.zoom = 0;
    const data = network.picture;
    this.root = { title: network.name, kind: "model", open: true, items: [], first: 0 };
    this.root.items = data.items.map((item) => this.grown(item, this.root));
    this.root.last = network.layers.length;
    this.start = { id: "in", title: "input", kind: "input", detail: data.input };
    this.ends = data.outputs.map((one, i) => ({ ...one, id: `out${i}`, kind: "output" }));
    this.note = make("p", { class: "note", role: "status" });
    this.view = make("div", { class: "view", tabindex: "0", "aria-label": "picture" });
    this.levels = ["model", "stage", "block", "layer"].map((word) =>
      make("button", { type: "button", onclick: () => this.show(word) }, word));
    this.element = make("div", { class: "picture" }, this.tools(), this.note, this.view);
    hub.listen((lit, ranges, origin, chosen) => this.light(lit, origin, chosen));
    this.draggable();
    this.unfold(level);
  }

  // The tree of groups; a layer is its number.
  grown(item, parent) {
    if (typeof item === "number") {
      const layer = this.network.layers[item];
      return {
        id: `n${item}`, title: layer.op, kind: layer.kind, detail: layer.detail, path: layer.path,
        params: layer.params, macs: layer.macs, first: item, last: item + 1, parent,
      };
    }
    const group = { ...item, id: `${item.kind}${item.first}-${item.last}-${item.path}`, parent };
    group.open = false;
    group.items = item.items.map((inner) => this.grown(inner, group));
    const inside = this.network.layers.slice(item.first, item.last);
    group.params = inside.reduce((sum, layer) => sum + layer.params, 0);
    group.macs = inside.reduce((sum, layer) => sum + layer.macs, 0);
    return group;
  }

  // The same levels as `resspec draw --level`.
  unfold(level) {
    const seen = new Set();
    const set = (group) => {
      if (!group.items) return;
      const stage = group.kind === "stage";
      group.open = level === "layer" || (level !== "model" && stage);
      if (level === "block" && !stage) {
        const form = JSON.stringify(this.form(group));
        group.open = !seen.has(form);
        if (group.kind !== "run") seen.add(form); // a run opens for the first block in it
      }
      for (const inner of group.items) set(inner);
    };
    for (const item of this.root.items) set(item);
    this.level = level;
  }

  form(group) {
    if (!group.items) return group.title;
    if (group.kind === "run") return this.form(group.items[0]);
    return [group.name, ...group.items.map((inner) => this.form(inner))];
  }

  async show(level) {
    const before = this.opened();
    this.unfold(level);
    this.zoom = 0;
    await this.refresh(() => this.reopen(before));
  }

  opened() {
    const found = [];
    const walk = (item) => {
      if (!item.items) return;
      if (item.open) found.push(item);
      item.items.forEach(walk);
    };
    walk(this.root);
    return { found, level: this.level };
  }

  reopen({ found, level }) {
    const walk = (item) => {
      if (!item.items) return;
      item.open = found.includes(item);
      item.items.forEach(walk);
    };
    walk(this.root);
    this.level = level;
  }

  async toggle(group) {
    const before = this.opened();
    const place = this.spot(group);
    group.open = !group.open;
    this.level = "";
    await this.refresh(() => this.reopen(before));
    const now = this.spot(group);
    if (place && now) {
      this.view.scrollLeft += now.x - place.x;
      this.view.scrollTop += now.y - place.y;
    }
    this.focus(this.shapes.get(group.id));
  }

  spot(group) {
    const shape = this.shapes && this.shapes.get(group.id);
    return shape && shape.getBoundingClientRect();
  }

  // What is to be seen now: boxes and frames, and which of them stands for each layer.
  seen() {
    let boxes = 0;
    const walk = (item) => {
      if (!item.items || !item.open) {
        boxes += 1;
        for (let i = item.first; i < item.last; i += 1) {
          this.owner[i] = item;
          this.turn[i] = null;
        }
        return item;
      }
      const few = item.kind !== "run" || item.items.length <= ALL;
      const inside = (few ? item.items : item.items.slice(0, 1)).map(walk);
      if (!few) {
        const [model, ...others] = item.items;
        for (const other of others) {
          for (let i = 0; i < model.last - model.first; i += 1) {
            this.owner[other.first + i] = this.owner[model.first + i];
            this.turn[other.first + i] = { run: item, number: other.first };
          }
        }
        for (let i = model.first; i < model.last; i += 1) {
          this.turn[i] = { run: item, number: model.first };
        }
      }
      return { frame: item, inside };
    };
    return { inside: this.root.items.map(walk), boxes };
  }

  arrows() {
    const found = new Map();
    const at = (number) => {
      if (number < 0) return this.start;
      return this.owner[number] || this.ends[number - this.owner.length];
    };
    for (const [from, to, shape, past] of this.network.picture.arrows) {
      const [source, target] = [at(from), at(to)];
      const [one, other] = [this.turn[from], this.turn[to]];
      if (source === target) continue;
      if (one && other && one.run === other.run && one.number !== other.number) continue;
      const shortcut = past === 1 && !target.items;
      const key = JSON.stringify([source.id, target.id, shortcut]);
      if (!found.has(key)) found.set(key, { source, target, shortcut, shapes: new Set() });
      found.get(key).shapes.add(shape);
    }
    // shapes are written where they are new
    const known = new Map([[this.start.id, new Set([this.start.detail])]]);
    return [...found.values()].map((arrow) => {
      const before = known.get(arrow.source.id) || new Set();
      if (!known.has(arrow.target.id)) known.set(arrow.target.id, new Set());
      arrow.shapes.forEach((shape) => known.get(arrow.target.id).add(shape));
      const fresh = [...arrow.shapes].some((shape) => !before.has(shape));
      return { ...arrow, label: fresh ? [...arrow.shapes].join(", ") : "" };
    });
  }

  lines(item) {
    const times = item.kind === "run" ? ` × ${item.items.length}` : "";
    const first = [short(item.title) + times, item.detail].filter(Boolean).join(" ");
    const costs = [
      item.params ? `${count(item.params)} params` : "",
      item.macs ? `${count(item.macs)} MACs` : "",
    ].filter(Boolean).join(" · ");
    return costs ? [first, costs] : [first];
  }

  heading(group) {
    if (group.kind === "run") {
      const all = group.items.length <= ALL ? "" : ", the first for all";
      return `${short(group.title)} × ${group.items.length}${all}`;
    }
    return short(group.kind === "stage" ? group.path : group.title);
  }

  async refresh(undo) {
    const turn = (this.drawn += 1);
    const { inside, boxes } = this.seen();
    if (boxes > MOST) {
      undo();
      this.seen();
      this.say(`This would show ${boxes.toLocaleString("en")} boxes; at most ${MOST} are drawn. `
        + "Unfold a part of it instead.");
      this.mark();
      return;
    }
    const arrows = this.arrows();
    this.element.setAttribute("aria-busy", "true");
    try {
      const laid = await this.laid(inside, arrows);
      if (turn !== this.drawn) return;
      this.say("");
      this.paint(laid, inside, arrows);
    } catch (problem) {
      this.say(`The layout engine gave up: ${problem}`);
    } finally {
      this.element.removeAttribute("aria-busy");
    }
    this.mark();
  }

  say(text) {
    this.note.textContent = text;
  }

  mark() {
    for (const button of this.levels) {
      button.setAttribute("aria-pressed", String(button.textContent === this.level));
    }
  }

  async laid(inside, arrows) {
    const { inner, outer, orders, font, line, small, wide } = this.settings;
    const size = (item) => {
      const lines = this.lines(item);
      const longest = Math.max(...lines.map((text) => text.length));
      return {
        id: item.id,
        width: Math.round(wide * font * longest + 20 + (item.items ? 16 : 0)),
        height: line * lines.length + 12,
      };
    };
    const node = (seen) => {
      if (!seen.frame) return size(seen);
      const least = Math.round(wide * font * (this.heading(seen.frame).length + 6));
      return {
        id: seen.frame.id,
        layoutOptions: {
          ...inner,
          "elk.nodeSize.constraints": "MINIMUM_SIZE",
          "elk.nodeSize.minimum": `(${least}, 40)`,
        },
        children: seen.inside.map(node),
      };
    };
    const edges = arrows.map((arrow, i) => {
      const label = { text: arrow.label, width: wide * small * arrow.label.length, height: small + 2 };
      return {
        id: `e${i}`, sources: [arrow.source.id], targets: [arrow.target.id],
        labels: arrow.label ? [label] : [],
      };
    });
    const graph = {
      id: "picture",
      layoutOptions: {
        ...inner,
        "elk.json.shapeCoords": outer["elk.json.shapeCoords"],
        "elk.json.edgeCoords": outer["elk.json.edgeCoords"],
        "elk.padding": outer["elk.padding"],
      },
      children: [size(this.start), ...inside.map(node), ...this.ends.map(size)],
      edges,
    };
    let problem;
    for (const order of orders) { // of some graphs it cannot keep the order of execution
      const layoutOptions = { "elk.layered.considerModelOrder.strategy": order };
      try {
        return await this.elk.layout(structuredClone(graph), { layoutOptions });
      } catch (caught) {
        problem = caught;
      }
    }
    throw problem;
  }

  paint(laid, inside, arrows) {
    const places = new Map();
    const routes = new Map();
    const walk = (found) => {
      places.set(found.id, found);
      (found.edges || []).forEach((edge) => routes.set(edge.id, edge));
      (found.children || []).forEach(walk);
    };
    walk(laid);
    this.shapes = new Map();
    const [frames, boxes, heads] = [draw("g"), draw("g"), draw("g")];
    const visit = (seen) => {
      if (!seen.frame) {
        boxes.append(this.box(seen, places.get(seen.id)));
        return;
      }
      const at = places.get(seen.frame.id);
      frames.append(draw("g", { class: "frame" }, rectangle(at, "top", 10)));
      heads.append(this.head(seen.frame, at));
      seen.inside.forEach(visit);
    };
    [this.start, ...inside, ...this.ends].forEach(visit);
    const lines = draw("g");
    arrows.forEach((arrow, i) => lines.append(...this.arrow(arrow, routes.get(`e${i}`))));
    this.size = { width: laid.width, height: laid.height };
    const input = places.get(this.start.id);
    this.middle = input.x + input.width / 2;
    this.svg = draw("svg", { viewBox: `0 0 ${laid.width} ${laid.height}`, role: "group" },
      frames, lines, boxes, heads); // an arrow goes behind a title that it crosses
    this.svg.setAttribute("aria-label", `${this.network.name}, ${this.owner.length} layers`);
    this.view.replaceChildren(this.svg);
    const known = new Set([...boxes.querySelectorAll("[data-kind]")].map((box) => box.dataset.kind));
    this.legend.replaceChildren(...[...known].sort().map((kind) =>
      make("span", { class: `swatch ${shade(kind)}` }, kind)));
    if (this.zoom === 0) this.fit();
    else this.scale(this.zoom);
    this.roving();
    this.hub.leave(this);
  }

  box(item, at) {
    const group = Boolean(item.items);
    const end = item.kind === "input" || item.kind === "output";
    const kind = group ? "block" : item.kind;
    const lines = this.lines(item);
    const shape = draw("g", {
      class: `box ${end ? "end" : shade(kind)}`,
      "data-kind": end ? null : kind,
      "data-path": item.path,
      role: end ? "img" : "button",
      "aria-label": [item.path, ...lines].filter(Boolean).join(", "),
      "aria-expanded": group ? "false" : null,
    });
    const round = end ? at.height / 2 : 5;
    if (item.kind === "run") shape.append(rectangle({ ...at, x: at.x + 4, y: at.y + 4 }, "under", 5));
    shape.append(rectangle(at, "top", round));
    lines.forEach((text, i) => shape.append(draw("text", {
      class: i ? "cost" : "name",
      x: at.x + at.width / 2 + (group ? 7 : 0),
      y: at.y + 6 + this.settings.line * (i + 0.75),
    }, text)));
    if (group) shape.append(sign("+", at.x + 12, at.y + at.height / 2));
    if (item.path) shape.append(draw("title", {}, item.path));
    if (!end) this.reacts(shape, item);
    return shape;
  }

  head(group, at) {
    const room = 0.55 * this.settings.font * this.heading(group).length + 28;
    const title = draw("g", {
      class: "head", role: "button", "aria-expanded": "true", "data-path": group.path,
      "aria-label": `${group.path}, ${this.heading(group)}`,
    },
    rectangle({ x: at.x + 4, y: at.y + 4, width: Math.min(room, at.width - 8), height: 20 }, "bar", 4),
    sign("−", at.x + 14, at.y + 14),
    draw("text", { x: at.x + 26, y: at.y + 18 }, this.heading(group)),
    draw("title", {}, group.path));
    this.reacts(title, group);
    return title;
  }

  reacts(shape, item) {
    const ranges = [[item.first, item.last]];
    const act = () => {
      if (item.items) this.toggle(item);
      else this.hub.choose(ranges, this);
    };
    this.shapes.set(item.id, shape);
    shape.addEventListener("pointerenter", () => this.hub.point(ranges, this));
    shape.addEventListener("pointerleave", () => this.hub.leave(this));
    shape.addEventListener("focus", () => this.hub.point(ranges, this));
    shape.addEventListener("click", () => this.moved || act());
    shape.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") act();
      else if (event.key === "Escape") this.hub.choose([], this);
      else if (!this.step(shape, event.key)) return;
      event.preventDefault();
    });
  }

  arrow({ shortcut }, { sections: [section], labels }) {
    const points = [section.startPoint, ...(section.bendPoints || []), section.endPoint];
    const kind = shortcut ? "arrow shortcut" : "arrow";
    const [end, before] = [points.at(-1), points.at(-2)];
    const length = Math.max(Math.abs(end.x - before.x), Math.abs(end.y - before.y)) || 1;
    const [dx, dy] = [((end.x - before.x) / length) * 6, ((end.y - before.y) / length) * 6];
    const tip = `M${end.x} ${end.y} L${end.x - dx - dy / 2} ${end.y - dy - dx / 2} `
      + `L${end.x - dx + dy / 2} ${end.y - dy + dx / 2} Z`;
    const parts = [draw("path", { class: kind, d: rounded(points) }),
      draw("path", { class: `${kind} tip`, d: tip })];
    for (const label of labels || []) {
      parts.push(draw("text", { class: "shape", x: label.x, y: label.y + label.height - 2 },
        label.text));
    }
    return parts;
  }

  // One of the boxes is in the order of the tab key; arrow keys lead to the others.
  roving() {
    this.order = [...this.svg.querySelectorAll("[role=button]")].sort((a, b) => {
      const [one, other] = [a.getBBox(), b.getBBox()];
      return one.y - other.y || one.x - other.x;
    });
    this.order.forEach((shape, i) => shape.setAttribute("tabindex", i ? "-1" : "0"));
  }

  step(shape, key) {
    const way = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[key];
    const next = way && this.order[this.order.indexOf(shape) + way];
    if (next) this.focus(next);
    return Boolean(way);
  }

  focus(shape) {
    if (!shape) return;
    this.order.forEach((other) => other.setAttribute("tabindex", other === shape ? "0" : "-1"));
    shape.focus({ preventScroll: true });
    this.reveal(shape);
  }

  light(lit, origin, chosen) {
    if (!this.shapes) return;
    const owners = new Set();
    lit.forEach((on, i) => on && this.owner[i] && owners.add(this.owner[i].id));
    let first = null;
    for (const [id, shape] of this.shapes) {
      shape.classList.toggle("lit", owners.has(id));
      if (owners.has(id)) first = first || shape;
    }
    if (first && origin !== this && (chosen || owners.size === 1)) this.reveal(first);
  }

  // Scroll the picture, not the page.
  reveal(shape) {
    const [box, view] = [shape.getBoundingClientRect(), this.view.getBoundingClientRect()];
    if (box.top < view.top || box.bottom > view.bottom) {
      this.view.scrollTop += (box.top + box.bottom - view.top - view.bottom) / 2;
    }
    if (box.left < view.left || box.right > view.right) {
      this.view.scrollLeft += (box.left + box.right - view.left - view.right) / 2;
    }
  }

  tools() {
    const button = (text, label, action) =>
      make("button", { type: "button", "aria-label": label, title: label, onclick: action }, text);
    this.legend = make("div", { class: "legend" });
    return make("div", { class: "tools" },
      make("div", { class: "segments", role: "group", "aria-label": "what is unfolded" },
        ...this.levels),
      make("div", { class: "segments", role: "group", "aria-label": "zoom" },
        button("−", "zoom out", () => this.scale(this.zoom / 1.25)),
        button("+", "zoom in", () => this.scale(this.zoom * 1.25)),
        button("fit", "show all of it", () => this.fit(0))),
      this.legend);
  }

  // All of it, but at first no smaller than can be read.
  fit(least = 0.75) {
    const [width, height] = [this.view.clientWidth - 4, this.view.clientHeight - 4];
    this.scale(Math.max(Math.min(width / this.size.width, height / this.size.height, 1.2), least));
    this.view.scrollLeft = this.middle * this.zoom - this.view.clientWidth / 2;
    this.view.scrollTop = 0;
  }

  scale(zoom) {
    const { view } = this;
    const before = this.zoom || zoom;
    this.zoom = Math.min(Math.max(zoom, 0.05), 8);
    const middle = [view.scrollLeft + view.clientWidth / 2, view.scrollTop + view.clientHeight / 2];
    this.svg.style.width = `${this.size.width * this.zoom}px`;
    this.svg.style.height = `${this.size.height * this.zoom}px`;
    view.scrollLeft = (middle[0] * this.zoom) / before - view.clientWidth / 2;
    view.scrollTop = (middle[1] * this.zoom) / before - view.clientHeight / 2;
  }

  draggable() {
    const { view } = this;
    view.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      this.scale(this.zoom * Math.exp(-event.deltaY / 300));
    }, { passive: false });
    view.addEventListener("keydown", (event) => {
      if (event.key === "+") this.scale(this.zoom * 1.25);
      if (event.key === "-") this.scale(this.zoom / 1.25);
      if (event.key === "0") this.fit(0);
    });
    let from = null;
    view.addEventListener("pointerdown", (event) => {
      this.moved = false;
      if (event.pointerType !== "mouse" || event.button) return; // a finger scrolls by itself
      from = { x: event.clientX + view.scrollLeft, y: event.clientY + view.scrollTop };
    });
    window.addEventListener("pointermove", (event) => {
      if (!from) return;
      const [left, top] = [from.x - event.clientX, from.y - event.clientY];
      const far = Math.abs(left - view.scrollLeft) + Math.abs(top - view.scrollTop) > PAN;
      if (!this.moved && !far) return;
      this.moved = true;
      [view.scrollLeft, view.scrollTop] = [left, top];
    });
    window.addEventListener("pointerup", () => { from = null; });
  }
}

function short(text) {
  return text.length > 48 ? `${text.slice(0, 47)}…` : text;
}

const KINDS = new Set();
for (const sheet of document.styleSheets) {
  for (const rule of sheet.cssRules) {
    if (rule.selectorText && rule.selectorText.startsWith(".k-")) KINDS.add(rule.selectorText.slice(3));
  }
}

function shade(kind) {
  return `k-${KINDS.has(kind) ? kind : "other"}`;
}

function rectangle({ x, y, width, height }, kind, round) {
  return draw("rect", { class: kind, x, y, width, height, rx: round });
}

function sign(text, x, y) {
  return draw("g", { class: "sign" }, draw("circle", { cx: x, cy: y, r: 6 }),
    draw("path", { d: `M${x - 3} ${y}h6${text === "+" ? `M${x} ${y - 3}v6` : ""}` }));
}

// A line through the points, its corners rounded.
function rounded(points) {
  const parts = [`M${points[0].x} ${points[0].y}`];
  for (let i = 1; i < points.length - 1; i += 1) {
    const corner = points[i];
    const enter = towards(corner, points[i - 1]);
    const leave = towards(corner, points[i + 1]);
    parts.push(`L${enter.x} ${enter.y} Q${corner.x} ${corner.y} ${leave.x} ${leave.y}`);
  }
  parts.push(`L${points.at(-1).x} ${points.at(-1).y}`);
  return parts.join(" ");
}

function towards(start, end) {
  const [dx, dy] = [end.x - start.x, end.y - start.y];
  const length = Math.hypot(dx, dy) || 1;
  const part = Math.min(8, length / 2) / length;
  return { x: start.x + dx * part, y: start.y + dy * part };
}

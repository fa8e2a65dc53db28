"use strict";
// What stands beside a picture: costs by stage, the depth, the table of layers, and texts.

const MEASURES = [
  ["params", "parameters", count],
  ["macs", "MACs", count],
  ["memory", "activation memory", bytes],
];

// Where parameters, MACs and activation memory sit. `most`: by measure, how much a full bar is.
function bars(network, hub, most) {
  const head = make("tr", {}, make("th", { scope: "col" }, "part"),
    make("th", { scope: "col", class: "shape" }, "output"),
    ...MEASURES.map(([, name]) => make("th", { scope: "col" }, name)));
  const rows = network.parts.map((part) => {
    const ranges = [[part.first, part.last]];
    const cells = MEASURES.map(([key, name, shown]) => {
      const bar = make("span", { class: `bar b-${key}` });
      bar.style.width = `${(100 * part[key]) / (most[key] || 1)}%`;
      const share = part[key] / (network.parts.reduce((sum, one) => sum + one[key], 0) || 1);
      return make("td", { title: `${name}: ${part[key].toLocaleString("en")}, ${percent(share)}` },
        make("span", { class: "amount" }, shown(part[key])), make("span", { class: "track" }, bar));
    });
    const row = make("tr", {
      tabindex: "0",
      onpointerenter: () => hub.point(ranges, row),
      onpointerleave: () => hub.leave(row),
      onfocus: () => hub.point(ranges, row),
      onblur: () => hub.leave(row),
      onclick: () => hub.choose(ranges, row),
    }, make("th", { scope: "row" }, part.path), make("td", { class: "shape" }, part.shape), ...cells);
    hub.listen((lit) => row.classList.toggle("lit", touched(lit, part)));
    return row;
  });
  return make("table", { class: "bars" }, make("thead", {}, head), make("tbody", {}, ...rows));
}

function touched(lit, { first, last }) {
  for (let i = first; i < last; i += 1) if (lit[i]) return true;
  return false;
}

function percent(share) {
  return `${(100 * share).toFixed(share < 0.0995 ? 1 : 0)} %`;
}

function square(size) {
  return size[0] === size[1] ? String(size[0]) : size.join("×");
}

function field(layer) {
  if (!layer.field) return "all";
  return square(layer.field) + (layer.everything ? " + all" : "");
}

// Receptive field and resolution along the depth, in pixels on one logarithmic axis.
function depth(network, hub) {
  const layers = network.layers;
  const host = make("figure", { class: "depth", tabindex: "0", role: "group" });
  host.setAttribute("aria-label", "receptive field and resolution along the depth; arrow keys move");
  const told = make("figcaption", {});
  const extent = Math.max(...network.extent);
  const most = Math.max(extent, ...layers.map((one) => (one.field ? Math.max(...one.field) : 1)));
  const [height, left, right, top, bottom] = [190, 36, 10, 10, 22];
  let [at, chart, cursor, width] = [-1, null, null, 0];
  const x = (i) => left + ((width - left - right) * (i + 0.5)) / layers.length;
  const y = (pixels) =>
    top + (height - top - bottom) * (1 - Math.log2(pixels) / Math.log2(Math.max(most, 2)));

  function paint() {
    width = Math.max(host.clientWidth, 200);
    chart = draw("svg", { width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
    for (let pixels = 1; pixels <= most; pixels *= 4) {
      chart.append(draw("path", { class: "rule", d: `M${left} ${y(pixels)}H${width - right}` }),
        draw("text", { class: "tick", x: left - 5, y: y(pixels) + 3 }, pixels));
    }
    chart.append(draw("path", { class: "whole", d: `M${left} ${y(extent)}H${width - right}` }),
      draw("text", { class: "whole", x: left + 4, y: y(extent) - 4 }, `input ${extent}`));
    for (const part of network.parts) {
      const start = x(part.first - 0.5);
      chart.append(draw("path", { class: "part", d: `M${start} ${top}V${height - bottom + 4}` }));
      const room = x(part.last) - x(part.first);
      const name = part.path.replace(/^stages\./, "");
      if (room > 7 * name.length) {
        chart.append(draw("text", { class: "part", x: start + room / 2, y: height - 8 }, name));
      }
    }
    const size = Math.max(Math.min((width - left - right) / layers.length, 6), 1.6);
    layers.forEach((layer, i) => {
      if (layer.resolution) chart.append(dot("resolution", x(i), y(Math.max(...layer.resolution)), size));
      if (layer.field) chart.append(dot("field", x(i), y(Math.max(...layer.field)), size));
    });
    cursor = draw("path", { class: "cursor" });
    chart.append(cursor);
    host.replaceChildren(chart, told);
    move(at);
  }

  function dot(kind, cx, cy, size) {
    return draw("rect", { class: kind, x: cx - size / 2, y: cy - 1.25, width: size, height: 2.5 });
  }

  function move(i) {
    at = i;
    cursor.setAttribute("d", i < 0 ? "" : `M${x(i)} ${top}V${height - bottom}`);
    const layer = layers[i];
    const key = (kind, text) => make("span", { class: `key ${kind}` }, text);
    told.replaceChildren(...(layer
      ? [make("b", {}, layer.path), key("field", `receptive field ${field(layer)}`),
        key("resolution", layer.resolution ? `resolution ${square(layer.resolution)}` : "no map")]
      : [key("field", "receptive field"), key("resolution", "resolution"), "pixels, layer by layer"]));
  }

  function nearest(event) {
    const inside = event.clientX - chart.getBoundingClientRect().left - left;
    const i = Math.floor((inside / (width - left - right)) * layers.length);
    return Math.min(Math.max(i, 0), layers.length - 1);
  }

  function point(i) {
    move(i);
    hub.point([[i, i + 1]], host);
  }

  host.addEventListener("pointermove", (event) => point(nearest(event)));
  host.addEventListener("pointerleave", () => hub.leave(host));
  host.addEventListener("click", (event) => {
    const i = nearest(event);
    hub.choose([[i, i + 1]], host);
  });
  host.addEventListener("keydown", (event) => {
    const way = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
    if (!way) return;
    event.preventDefault();
    point(Math.min(Math.max(at + way, 0), layers.length - 1));
  });
  hub.listen((lit, ranges, origin) => {
    if (origin !== host && cursor) move(ranges.length === 1 ? ranges[0][0] : -1);
  });
  new ResizeObserver(() => host.clientWidth !== width && paint()).observe(host);
  return host;
}

const COLUMNS = [
  ["layer", (one) => one.path, (one) => one.path],
  ["op", (one) => one.op, (one) => [one.op, one.detail].filter(Boolean).join(" ")],
  ["output", (one) => one.size, (one) => one.shape],
  ["params", (one) => one.params, (one) => count(one.params)],
  ["MACs", (one) => one.macs, (one) => count(one.macs)],
  ["memory", (one) => one.memory, (one) => bytes(one.memory)],
  ["field", (one) => (one.field ? one.field[0] * one.field[1] : Infinity), field],
];
const NUMBERS = new Set(["params", "MACs", "memory", "field"]);
const BARS = { params: "params", MACs: "macs", memory: "memory" };

// The table of layers: sorted by a column, filtered by words.
function layerTable(network, hub) {
  const layers = network.layers.map((layer, number) => ({ ...layer, number, size: layer.memory }));
  const most = Object.fromEntries(Object.values(BARS).map((key) =>
    [key, Math.max(...layers.map((one) => one[key]), 1)]));
  const rows = layers.map((layer) => {
    const ranges = [[layer.number, layer.number + 1]];
    const row = make("tr", {
      onpointerenter: () => hub.point(ranges, row),
      onpointerleave: () => hub.leave(row),
      onfocus: () => hub.point(ranges, row),
      onclick: () => hub.choose(ranges, row),
      onkeydown: (event) => walk(event, row, ranges),
      tabindex: "-1",
    }, ...COLUMNS.map(([name, , shown], i) => cell(layer, name, shown(layer), i)));
    row.words = `${layer.path} ${layer.op} ${layer.kind} ${layer.shape}`.toLowerCase();
    return row;
  });
  rows[0].tabIndex = 0;

  function cell(layer, name, text, i) {
    if (i === 0) return make("th", { scope: "row", title: text }, text);
    const made = make("td", { class: NUMBERS.has(name) ? "number" : null }, text);
    if (BARS[name] && layer[BARS[name]]) {
      made.classList.add("part", `b-${BARS[name]}`);
      made.style.setProperty("--part", `${(100 * layer[BARS[name]]) / most[BARS[name]]}%`);
      made.title = layer[BARS[name]].toLocaleString("en");
    }
    return made;
  }

  function walk(event, row, ranges) {
    const way = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
    if (event.key === "Enter") hub.choose(ranges, row);
    if (event.key === "Escape") hub.choose([], row);
    if (!way) return;
    event.preventDefault();
    let next = row[way];
    while (next && next.hidden) next = next[way];
    if (!next) return;
    row.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  }

  const body = make("tbody", {}, ...rows);
  const heads = COLUMNS.map(([name], column) =>
    make("th", { scope: "col", class: NUMBERS.has(name) ? "number" : null },
      make("button", { type: "button", onclick: () => sort(column) }, name)));
  let sorted = -1;
  let down = false;

  // a number first falls, a word first rises; a third click gives the order of execution back
  function sort(column) {
    const falls = NUMBERS.has(COLUMNS[column][0]) || COLUMNS[column][0] === "output";
    if (sorted !== column) [sorted, down] = [column, falls];
    else if (down === falls) down = !down;
    else sorted = -1;
    heads.forEach((head, i) => {
      if (i === sorted) head.setAttribute("aria-sort", down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
    const key = sorted < 0 ? (one) => one.number : COLUMNS[sorted][1];
    const ordered = [...layers].sort((a, b) => {
      const [one, other] = [key(a), key(b)];
      const less = typeof one === "string"
        ? one.localeCompare(other, "en", { numeric: true }) : Math.sign(one - other) || 0;
      return (down && sorted >= 0 ? -less : less) || a.number - b.number;
    });
    body.append(...ordered.map((one) => rows[one.number]));
  }

  const told = make("output", { class: "told" });
  const filter = make("input", {
    type: "search", placeholder: "filter: conv stages.2", "aria-label": "filter layers",
    oninput: sift, spellcheck: "false", autocomplete: "off",
  });

  function sift() {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let [shown, params, macs] = [0, 0, 0];
    rows.forEach((row, i) => {
      row.hidden = !words.every((word) => row.words.includes(word));
      if (row.hidden) return;
      shown += 1;
      params += layers[i].params;
      macs += layers[i].macs;
    });
    told.textContent = `${shown.toLocaleString("en")} of ${rows.length.toLocaleString("en")} layers`
      + `, ${count(params)} params, ${count(macs)} MACs`;
  }
  sift();

  const box = make("div", { class: "scroll" },
    make("table", { class: "layers" }, make("thead", {}, make("tr", {}, ...heads)), body));
  hub.listen((lit, ranges, origin, chosen) => {
    let first = null;
    rows.forEach((row, i) => {
      if (row.classList.contains("lit") !== Boolean(lit[i])) row.classList.toggle("lit");
      if (lit[i] && !row.hidden && !first) first = row;
    });
    if (first && origin.tagName !== "TR") into(box, first);
    if (chosen) rows.forEach((row, i) => row.setAttribute("aria-selected", String(Boolean(lit[i]))));
  });
  return make("div", { class: "table" }, make("div", { class: "tools" }, filter, told), box);
}

// Scroll a box, not the page, so that something in it is seen.
function into(box, element) {
  const [inner, outer] = [element.getBoundingClientRect(), box.getBoundingClientRect()];
  if (!outer.height) return;
  const [top, bottom] = [outer.top + 28, outer.bottom];
  if (inner.top < top || inner.bottom > bottom) box.scrollTop += inner.top - top - outer.height / 3;
}

// A text whose parts stand for layers: a part is text, or [text, ranges].
function linked(lines, hub) {
  const links = [];
  const box = make("ol", { class: "code" }, ...lines.map((parts) => make("li", {}, ...parts.map((part) => {
    if (typeof part === "string") return part;
    const [text, ranges] = part;
    const link = make("button", {
      type: "button",
      onpointerenter: () => hub.point(ranges, link),
      onpointerleave: () => hub.leave(link),
      onfocus: () => hub.point(ranges, link),
      onblur: () => hub.leave(link),
      onclick: () => hub.choose(ranges, link),
    }, text);
    links.push([link, ranges]);
    return link;
  }))));
  hub.listen((lit, ranges, origin, chosen) => {
    let nearest = null;
    let least = Infinity;
    for (const [link, own] of links) {
      const on = ranges.length > 0 && own.some((one) => ranges.some((other) => covers(one, other)));
      link.classList.toggle("lit", on);
      const size = Math.min(...own.map(([first, last]) => last - first));
      if (on && size < least) [nearest, least] = [link, size];
    }
    if (nearest && chosen && !links.some(([link]) => link === origin)) {
      into(box.closest(".scroll") || box, nearest);
    }
  });
  return box;
}

// What covers a range, and no more than a block of it: a line lights up for its own layers.
function covers([first, last], [start, end]) {
  return first <= start && end <= last;
}

// Tabs: [[word, element]], one of which is shown; on paper all of them are.
function tabs(panels, id) {
  const buttons = panels.map(([word], i) => make("button", {
    type: "button", role: "tab", id: `${id}-tab-${i}`, "aria-controls": `${id}-panel-${i}`,
    onclick: () => choose(i), onkeydown: (event) => step(event, i),
  }, word));
  const boxes = panels.map(([word, element], i) => make("div", {
    role: "tabpanel", id: `${id}-panel-${i}`, "aria-labelledby": `${id}-tab-${i}`, "data-word": word,
  }, element));
  function choose(i) {
    buttons.forEach((button, other) => {
      button.setAttribute("aria-selected", String(i === other));
      button.tabIndex = i === other ? 0 : -1;
      boxes[other].hidden = i !== other;
    });
  }
  function step(event, i) {
    const way = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!way) return;
    const next = (i + way + buttons.length) % buttons.length;
    choose(next);
    buttons[next].focus();
  }
  choose(0);
  return make("section", { class: "tabs" }, make("div", { role: "tablist" }, ...buttons), ...boxes);
}

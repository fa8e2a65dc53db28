"use strict";
// The page: one network with its picture beside everything else, or several networks side by side.

function theme() {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const now = () => root.dataset.theme || (dark.matches ? "dark" : "light");
  const button = make("button", { type: "button", class: "theme", onclick: () => {
    root.dataset.theme = now() === "dark" ? "light" : "dark";
    told();
  } });
  function told() {
    const other = now() === "dark" ? "light" : "dark";
    button.textContent = other === "dark" ? "☾ dark" : "☀ light";
    button.setAttribute("aria-label", `show the page ${other}`);
  }
  dark.addEventListener("change", told);
  told();
  return button;
}

function amount([, value, unit]) {
  if (unit === null) return value;
  return unit === "B" ? bytes(value) : count(value);
}

function totals(network) {
  return make("dl", { class: "totals" }, ...network.totals.map((one) => make("div", {},
    make("dt", {}, one[0]),
    make("dd", { title: one[2] === null ? one[1] : one[1].toLocaleString("en") }, amount(one)))));
}

// The totals of several networks, each against the first.
function compared(networks) {
  const [first] = networks;
  const rows = networks.map((network) => make("tr", {}, make("th", { scope: "row" }, network.name),
    ...network.totals.map((own, i) => {
      const cell = make("td", {}, amount(own));
      const change = own[2] === null || network === first ? 0 : own[1] / first.totals[i][1] - 1;
      if (change) {
        const sign = change > 0 ? "+" : "−";
        cell.append(make("span", { class: "change" }, ` ${sign}${percent(Math.abs(change))}`));
      }
      return cell;
    })));
  return make("div", { class: "scroll-x" }, make("table", { class: "compared" },
    make("thead", {}, make("tr", {}, make("td"),
      ...first.totals.map((one) => make("th", { scope: "col" }, one[0])))),
    make("tbody", {}, ...rows)));
}

// What differs in a network from the first; a sentence lights the layers of both that it is about.
function differing({ title, costs, changes, rest, says }, hubs) {
  const rows = changes.map(({ text, layers }) => {
    const each = (tell) => hubs.forEach((hub, i) => tell(hub, layers[i]));
    const row = make("li", {
      tabindex: "0",
      onpointerenter: () => each((hub, ranges) => hub.point(ranges, row)),
      onpointerleave: () => each((hub) => hub.leave(row)),
      onfocus: () => each((hub, ranges) => hub.point(ranges, row)),
      onblur: () => each((hub) => hub.leave(row)),
      onclick: () => each((hub, ranges) => hub.choose(ranges, row)),
    }, text);
    return row;
  });
  return make("section", { class: "card differs" }, make("h2", {}, costs ? `${title}: ${costs}` : title),
    make("ul", {}, ...rows, rest && make("li", { class: "none" }, rest)), make("p", { class: "none" }, says));
}

function files(network, hub) {
  return make("div", { class: "scroll" }, ...network.texts.map((one, i) =>
    make("details", { open: i === 0 || network.texts.length < 12 },
      make("summary", {}, one.file), linked(one.lines, hub))));
}

function panels(network, hub) {
  const found = [["Layers", layerTable(network, hub)]];
  if (network.texts.length) found.push(["YAML", files(network, hub)]);
  for (const one of network.sources) {
    found.push([one.backend, one.problem ? make("pre", { class: "scroll" }, one.problem)
      : make("div", { class: "scroll" }, linked(one.lines, hub))]);
  }
  const warnings = network.warnings.length;
  found.push([warnings ? `Warnings (${warnings})` : "Warnings", make("div", { class: "scroll" },
    ...(warnings ? network.warnings.map((text) => make("pre", {}, text))
      : [make("p", { class: "none" }, "None: nothing in this spec looks like a slip.")]))]);
  return found;
}

function card(title, element) {
  return make("section", { class: "card" }, make("h2", {}, title), element);
}

function column(network, number, data, most) {
  const hub = new Hub(network.layers.length);
  const picture = new Picture(network, data.layout, hub, data.level);
  const shown = [make("section", { class: "stand" }, picture.element)];
  if (network.totals) {
    shown.push(make("div", { class: "side" },
      card("Where it sits", bars(network, hub, most)),
      card("What a position sees", depth(network, hub)),
      tabs(panels(network, hub), `network${number}`)));
  }
  return { picture, shown, hub };
}

function start() {
  const data = JSON.parse(document.getElementById("data").textContent);
  const { networks } = data;
  const several = networks.length > 1;
  const whole = Boolean(networks[0].totals);
  const most = {};
  for (const [key] of MEASURES) {
    most[key] = Math.max(...networks.flatMap((one) => (one.parts || []).map((part) => part[key])), 1);
  }
  const columns = networks.map((one, i) => column(one, i, data, most));
  const title = networks.map((one) => one.name).join(" · ");
  const costs = `${count(networks[0].params)} params · ${count(networks[0].macs)} MACs`;
  const header = make("header", {}, make("h1", {}, title),
    several ? null : make("p", { class: "doc" }, whole ? networks[0].doc : costs), theme());
  const main = make("main", { class: several ? "several" : whole ? "one" : "alone" },
    ...columns.map(({ shown }, i) => (several
      ? make("article", {}, make("h2", {}, networks[i].name), make("p", { class: "doc" },
        networks[i].doc), ...shown)
      : make("article", {}, ...shown))));
  const sums = several ? compared(networks) : whole ? totals(networks[0]) : null;
  const differences = networks.flatMap((one, i) => (one.differs
    ? [differing(one.differs, [columns[0].hub, columns[i].hub])] : []));
  document.body.append(header, ...(sums ? [sums] : []), ...differences, main);
  return Promise.all(columns.map(({ picture }) => picture.refresh(() => picture.unfold("stage"))));
}

start().then(() => { document.documentElement.dataset.ready = "yes"; });

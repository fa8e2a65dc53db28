"use strict";
// The page of `resspec play`. What is asked goes to this machine alone; one question at a time, and
// the next about the newest text, so that nothing old is computed while someone types.
(async () => {
  const $ = (id) => document.getElementById(id);
  const nonce = document.querySelector("meta[name=nonce]").content;

  async function ask(what, data = {}) {
    const answer = await fetch(what, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(data),
    });
    if (!answer.ok) throw new Error((await answer.text()).trim());
    return answer.json();
  }

  function make(tag, properties = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
      if (name in element) element[name] = value;
      else element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
  }

  // -- the document ---------------------------------------------------------------------------

  let file = await ask("state");
  if (file.error) {
    $("status").textContent = file.error;
    return;
  }
  let saved = file.text, seen = file.seen, variant = file.variant, shown = null;
  const tabs = ["diagram", "cost", ...file.backends];
  let tab = "diagram", level = "stage";
  $("name").textContent = file.name;
  document.title = `${file.name} – resspec play`;
  $("save").hidden = !file.writes;

  // -- the editor -----------------------------------------------------------------------------

  const { tags } = CM;
  const colours = CM.HighlightStyle.define([
    { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: "light-dark(#1d4ed8, #93c5fd)" },
    { tag: [tags.keyword, tags.operatorKeyword, tags.modifier], color: "light-dark(#7e22ce, #d8b4fe)" },
    { tag: [tags.string, tags.special(tags.string)], color: "light-dark(#166534, #86efac)" },
    { tag: [tags.number, tags.bool, tags.null], color: "light-dark(#9a3412, #fdba74)" },
    { tag: [tags.comment, tags.meta], color: "light-dark(#57606a, #94a3b8)", fontStyle: "italic" },
    { tag: [tags.className, tags.definition(tags.variableName), tags.function(tags.variableName)], color: "light-dark(#0f766e, #5eead4)" },
  ]);
  const common = [CM.syntaxHighlighting(colours), CM.EditorView.cspNonce.of(nonce), CM.EditorView.lineWrapping];

  async function suggest(context) {
    const word = context.matchBefore(/\w*/);
    if (!context.explicit && word.from === word.to) return null;
    const text = context.state.doc.toString();
    // offsets on the other side count characters
    const offset = [...text.slice(0, context.pos)].length;
    const found = await ask("suggest", { text, offset });
    if (!found.options.length) return null;
    return { from: context.pos - (offset - found.from), options: found.options, validFor: /^\w*$/ };
  }

  const editor = new CM.EditorView({
    parent: $("editor"),
    state: CM.EditorState.create({
      doc: file.text,
      extensions: [
        CM.keymap.of([{ key: "Mod-s", run: () => (save(), true) }, CM.indentWithTab]),
        CM.basicSetup,
        ...common,
        CM.yaml(),
        CM.indentUnit.of("  "),
        CM.lintGutter(),
        CM.autocompletion({ override: [suggest] }),
        CM.EditorView.contentAttributes.of({ "aria-label": "spec", spellcheck: "false" }),
        CM.EditorView.updateListener.of((update) => {
          if (update.docChanged) changed();
        }),
      ],
    }),
  });
  const text = () => editor.state.doc.toString();

  function go(at) {
    editor.dispatch({ selection: { anchor: at[0], head: at[1] }, scrollIntoView: true });
    editor.focus();
  }

  function changed() {
    $("save").disabled = text() === saved;
    look();
  }

  // -- what is shown of a text ------------------------------------------------------------------

  let asking = false, again = false;
  async function look() {
    again = asking;
    if (asking) return;
    asking = true;
    const [about, view] = [text(), tab];
    try {
      const found = await ask("look", { text: about, view: tab, variant, level });
      if (found.error) throw new Error(found.error);
      if (about === text() && view === tab) show(found);
    } catch (problem) {
      say(problem instanceof TypeError ? "`resspec play` has ended" : problem.message, "bad");
    }
    asking = false;
    if (again) look();
  }

  function say(words, kind) {
    $("status").textContent = words;
    $("status").className = kind;
  }

  function show(found) {
    const errors = found.problems.filter((one) => one.severity === "error").length;
    const warnings = found.problems.length - errors;
    const count = (number, word) => `${number} ${word}${number === 1 ? "" : "s"}`;
    if (errors) say(count(errors, "problem"), "bad");
    else if (warnings) say(count(warnings, "warning"), "warn");
    else say("✓ valid", "good");
    editor.dispatch(CM.setDiagnostics(editor.state, found.problems.filter((one) => one.at).map((one) => ({
      from: one.at[0], to: one.at[1], severity: one.severity,
      message: [one.message, ...one.notes, one.help && `help: ${one.help}`].filter(Boolean).join("\n"),
    }))));
    $("problems").replaceChildren(...found.problems.map((one) => make(
      "li", { className: one.severity, tabIndex: 0, onclick: () => one.at && go(one.at),
              onkeydown: (event) => event.key === "Enter" && one.at && go(one.at) },
      make("span", { className: "place", textContent: one.place }), one.message,
      ...[...one.notes, one.help && `help: ${one.help}`].filter(Boolean).map(
        (line) => make("div", { className: "help", textContent: line })),
    )));
    const names = found.variants;
    $("variants").hidden = names.length < 2;
    $("variant").replaceChildren(...names.map((name) =>
      make("option", { value: name, textContent: name || "(the base)", selected: name === found.variant })));
    if (found.cost) {
      const drawn = tab === "diagram" && shown?.view === tab && shown.picture.svg;
      shown = { ...found, view: tab };
      $("costs").textContent = `${found.name}: ${found.cost.params} params · ${found.cost.macs} MACs`;
      if (!drawn || drawn !== found.picture.svg) draw();  // many keystrokes change no picture
    }
    $("panel").classList.toggle("old", !found.cost);
    document.documentElement.dataset.looked = (Number(document.documentElement.dataset.looked) || 0) + 1;
  }

  // -- beside the text --------------------------------------------------------------------------

  let reader = null;
  function draw() {
    const panel = $("panel");
    panel.className = file.backends.includes(tab) ? "source" : tab;
    if (!shown || shown.view !== tab) return;
    if (file.backends.includes(tab)) return drawSource(panel, shown.source);
    reader = null;
    const scroll = [panel.scrollLeft, panel.scrollTop];
    if (tab === "cost") panel.replaceChildren(...drawCost(shown.cost));
    else panel.replaceChildren(...drawPicture(shown.picture));
    [panel.scrollLeft, panel.scrollTop] = scroll;
  }

  function drawSource(panel, source) {
    if (reader && panel.contains(reader.dom)) {
      const old = reader.state.doc.toString();
      if (old !== source) reader.dispatch({ changes: change(old, source) });
      return;
    }
    panel.replaceChildren();
    reader = new CM.EditorView({ parent: panel, state: CM.EditorState.create({
      doc: source,
      extensions: [...common, CM.python(), CM.EditorState.readOnly.of(true), CM.EditorView.editable.of(false)],
    }) });
  }

  // the one stretch in which two texts differ: what stays is not read and coloured anew
  function change(old, now) {
    const most = Math.min(old.length, now.length);
    let start = 0, end = 0;
    while (start < most && old[start] === now[start]) start += 1;
    while (end < most - start && old[old.length - end - 1] === now[now.length - end - 1]) end += 1;
    return { from: start, to: old.length - end, insert: now.slice(start, now.length - end) };
  }

  function drawPicture(picture) {
    const says = picture.says ? [make("p", { className: "says", textContent: picture.says })] : [];
    if (picture.mermaid) says.push(make("pre", { textContent: picture.mermaid }));
    if (!picture.svg) return says;
    // names in it are text; its one style is told to be ours
    const svg = document.importNode(new DOMParser().parseFromString(
      picture.svg.replace("<style>", `<style nonce="${nonce}">`), "image/svg+xml").documentElement, true);
    for (const box of svg.querySelectorAll(".box[data-path]")) {
      box.addEventListener("click", () => {
        const at = nearest(box.dataset.path);
        if (at) go(at);
      });
    }
    return [svg];
  }

  // the place of a part, or of what it is a part of
  function nearest(path) {
    for (let name = path; name; name = name.slice(0, Math.max(name.lastIndexOf("."), 0))) {
      if (shown.places[name]) return shown.places[name];
    }
    return null;
  }

  function drawCost(cost) {
    const number = (value) => value.toLocaleString("en");
    const cells = (row) => [
      make("td", { textContent: row.part }), make("td", { textContent: row.op }),
      ...[row.params, row.macs].map((value, which) => {
        const cell = make("td", { className: row.op ? "share" : "", textContent: number(value) });
        if (row.op) cell.style.setProperty("--share", `${(100 * row.shares[which]).toFixed(1)}%`);
        return cell;
      }),
      make("td", { textContent: number(row.activations) }), make("td", { textContent: row.output }),
    ];
    const head = ["part", "block", "params", "MACs", "activations", "output"];
    const facts = { input: cost.input, "input sizes": cost.sizes, "weights (float32)": cost.weights,
                    "peak activations (float32)": cost.peak };
    return [
      make("div", { className: "wide" }, make("table", {},
        make("thead", {}, make("tr", {}, ...head.map((name) => make("th", { textContent: name })))),
        make("tbody", {}, ...cost.rows.map((row) => make("tr", {}, ...cells(row)))))),
      make("dl", {}, ...Object.entries(facts).flatMap(([name, value]) =>
        [make("dt", { textContent: name }), make("dd", { textContent: value })])),
    ];
  }

  function drawTabs() {
    const buttons = tabs.map((name) => make("button", {
      role: "tab", textContent: name, "aria-selected": String(name === tab),
      onclick: () => { tab = name; drawTabs(); look(); },
    }));
    const select = make("select", { id: "level", onchange: (event) => { level = event.target.value; look(); } },
      ...file.levels.map((name) => make("option", { value: name, textContent: name, selected: name === level })));
    $("tabs").replaceChildren(...buttons, ...(tab === "diagram" ? [make("label", {}, "level ", select)] : []));
  }

  $("variant").onchange = (event) => { variant = event.target.value || null; look(); };

  // -- the file ---------------------------------------------------------------------------------

  function notice(words, ...choices) {
    $("notice").hidden = !words;
    $("notice").replaceChildren(words, ...choices.map(([name, work]) =>
      make("button", { textContent: name, onclick: () => { notice(""); work(); } })));
  }

  async function save(force = false) {
    if (!file.writes) return notice(`${file.name} is not written here: copy the text to a file of yours`);
    const about = text();
    try {
      const done = await ask("save", { text: about, seen, force });
      if (done.error) return notice(done.error);
      if (done.changed) {
        return notice("The file has changed since it was read.", ["Read it again", reload], ["Replace it", () => save(true)]);
      }
      [saved, seen] = [about, done.seen];
      notice("");
      $("save").disabled = text() === saved;
    } catch (problem) { notice(`Not saved: ${problem.message}`); }
  }

  async function reload() {
    const now = await ask("state");
    if (now.error) return notice(now.error);
    [saved, seen] = [now.text, now.seen];
    if (text() !== now.text) editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: now.text } });
    $("save").disabled = true;
  }

  $("save").onclick = () => save();
  window.addEventListener("focus", async () => {
    try {
      const now = await ask("state");
      if (now.error || now.seen === seen) return;
      if (text() === saved) reload();
      else notice("The file has changed since it was read.", ["Read it again", reload], ["Keep this", () => { seen = now.seen; }]);
    } catch { /* it has ended, which the next question tells */ }
  });
  window.addEventListener("beforeunload", (event) => {
    if (file.writes && text() !== saved) event.preventDefault();
  });

  drawTabs();
  changed();
  editor.focus();
})();

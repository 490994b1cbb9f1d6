// The corpus: search, filters, a list that draws only what is seen, and a reader beside it. Rows are filtered and sorted by their columns;
// their texts come in chunks when they are seen, opened or searched.
const HEIGHT = 76;
const explorer = document.getElementById("explorer");
let openPlace = () => {};
if (explorer) chunk("columns").then(explore, (error) => { explorer.hidden = false; explorer.append(el("p", { class: "empty" }, error.message)); });

function explore(columns) {
  const count = page.rows;
  const state = { query: "", level: "", concepts: "", status: "", label: "", verdict: "", rate: "", key: "order", down: false, active: 0, open: null, plain: false };
  const lengths = columns.numbers;
  const rates = lengths["pass rate"];
  let order = [];
  let hits = null; // places that the search found, null without one
  let turn = 0;

  // Filters by column.
  const BANDS = new Map([["none", (r) => r === 0], ["low", (r) => r > 0 && r < 0.25], ["middle", (r) => r >= 0.25 && r < 0.75], ["high", (r) => r >= 0.75 && r < 1], ["all", (r) => r === 1], ["unknown", (r) => r === null]]);
  const test = {
    level: (at, wanted) => columns.level.of[at].includes(wanted),
    concepts: (at, wanted) => columns.concepts.of[at].includes(wanted),
    status: (at, wanted) => (wanted === -1 ? columns.status.names[columns.status.of[at][0]] !== "kept" : columns.status.of[at].includes(wanted)),
    label: (at, wanted) => (wanted === -1 ? !columns.label.of[at].length : columns.label.of[at].includes(wanted)),
    verdict: (at, wanted) => columns.verdict.of[at].includes(wanted),
  };
  function matches(at, active, band) {
    return active.every(([name, wanted]) => test[name](at, wanted)) && (!band || band(rates[at])) && (hits === null || hits.has(at));
  }

  /** What is missing comes last, whichever way the sort runs. */
  function compare(a, b, value) {
    const [x, y] = [value(a), value(b)];
    const rank = (v) => (v === null || v === undefined || v === "" ? 1 : 0);
    if (rank(x) !== rank(y)) return rank(x) - rank(y);
    const sign = x < y ? -1 : x > y ? 1 : 0;
    return (state.down ? -sign : sign) || a - b;
  }

  const named = (column) => (at) => column.names[column.of[at][0]];
  const KEYS = new Map([
    ["order", ["as written", (at) => at]],
    ["level", ["level", named(columns.level)]],
    ["status", ["status", named(columns.status)]],
    ...(columns.label.names.length ? [["label", ["label", named(columns.label)]]] : []),
    ...Object.keys(lengths).filter((name) => lengths[name].some((v) => v !== null)).map((name) => [`number ${name}`, [words(name), (at) => lengths[name][at]]]),
  ]);

  function arrange() {
    const active = Object.keys(test).filter((name) => state[name] !== "").map((name) => [name, Number(state[name])]);
    const band = BANDS.get(state.rate);
    order = [];
    for (let at = 0; at < count; at += 1) if (matches(at, active, band)) order.push(at);
    const value = KEYS.get(state.key)[1];
    if (state.key !== "order" || state.down) order.sort((a, b) => compare(a, b, value));
  }

  // Controls.
  function choice(label, field, options) {
    const select = el("select", { onchange: () => { state[field] = select.value; restart(); } }, ...options.map(([value, text]) => el("option", { value }, text)));
    return el("label", {}, el("span", {}, label), select);
  }
  function options(all, column, more = []) {
    const counts = column.names.map(() => 0);
    for (const own of column.of) for (const place of own) counts[place] += 1;
    const places = counts.map((n, place) => [n, place]).sort((a, b) => b[0] - a[0] || a[1] - b[1]);
    return [["", all], ...more, ...places.map(([n, place]) => [String(place), `${excerpt(words(column.names[place]), 60)} (${grouped(n)})`])];
  }
  const lost = columns.status.of.filter((own) => columns.status.names[own[0]] !== "kept").length;
  const search = el("input", { type: "search", placeholder: "Words, or an id", autocomplete: "off", spellcheck: "false", "aria-keyshortcuts": "/" });
  let waiting = 0;
  search.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(seek, count > 2000 ? 200 : 0); });
  const sort = choice("Sort by", "key", [...KEYS].map(([name, [label]]) => [name, label]));
  const direction = el("button", { type: "button", onclick: () => { state.down = !state.down; restart(); } }, "Ascending");
  const known = rates.some((rate) => rate !== null);
  const controls = el("div", { class: "controls", role: "search", "aria-label": "Problems" },
    el("label", { class: "search" }, el("span", {}, "Search ", el("kbd", {}, "/")), search),
    el("div", { class: "sorting" }, sort, direction),
    choice("Level", "level", options("all levels", columns.level)),
    choice("Concept", "concepts", options("all concepts", columns.concepts)),
    choice("Status", "status", options("any status", columns.status, lost && lost < count ? [["-1", `dropped, any reason (${grouped(lost)})`]] : [])),
    columns.label.names.length ? choice("Label", "label", options("any label", columns.label, [["-1", "not labeled"]])) : null,
    columns.verdict.names.length ? choice("Attempts", "verdict", options("any verdict", columns.verdict)) : null,
    known ? choice("Pass rate", "rate", [["", "any"], ["none", "never right"], ["low", "under 25 %"], ["middle", "25 to 75 %"], ["high", "75 % and more"], ["all", "always right"], ["unknown", "not attempted"]]) : null);

  // Search: every word somewhere in the row. The texts are read once, chunk by chunk, and kept in lower case.
  const haystacks = [];
  const haystack = (row) => [row.problem, row.rationale, row.id, row.level, row.label?.answer ?? "", ...row.concepts].join("\n").toLowerCase();
  async function seek() {
    const mine = turn += 1;
    const asked = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    state.query = search.value;
    if (!asked.length) { hits = null; restart(); return; }
    const found = new Set();
    for (let start = 0; start < count; start += page.size) {
      const place = start / page.size;
      if (!haystacks[place]) {
        try { haystacks[place] = (await rowsOf(start)).map(haystack); }
        catch (error) { say(error.message); note.textContent = error.message; return; }
        if (mine !== turn) return;
        note.textContent = `Searching: ${grouped(Math.min(count, start + page.size))} of ${grouped(count)} read`;
      }
      haystacks[place].forEach((text, at) => { if (asked.every((word) => text.includes(word))) found.add(start + at); });
    }
    hits = found;
    restart();
  }

  // The list. Only rows near the window are elements; the box is as high as all of them.
  const note = el("p", { class: "found", role: "status" });
  const sizer = el("div", { class: "sizer" });
  const list = el("div", { class: "list", role: "listbox", tabindex: "0", "aria-label": "Problems" }, sizer);
  const reader = el("article", { class: "reader", tabindex: "-1", "aria-label": "The chosen problem" });
  const panes = el("div", { class: "panes" }, list, reader);
  const drawn = new Map();

  function line(place) {
    const at = order[place];
    const status = columns.status.names[columns.status.of[at][0]];
    const rate = rates[at];
    const text = el("bdi", { class: "text" }, "…");
    const node = el("div", { class: "row", role: "option", id: `row-${at}`, "aria-setsize": String(order.length), "aria-posinset": String(place + 1), "aria-selected": String(place === state.active) },
      text,
      el("span", { class: "meta" },
        el("span", { class: status === "kept" ? "pill kept" : "pill lost" }, words(status)),
        rate === null ? null : el("span", { class: "rate" }, `${percent(rate)} right`),
        columns.label.of[at].length ? el("span", {}, words(columns.label.names[columns.label.of[at][0]])) : null,
        el("bdi", { class: "level" }, columns.level.names[columns.level.of[at][0]] || "no level"),
        el("bdi", { class: "concepts" }, columns.concepts.of[at].map((c) => columns.concepts.names[c]).join(" · "))));
    node.style.top = `${place * HEIGHT}px`;
    rowAt(at).then((row) => { text.textContent = excerpt(row.problem); }, (error) => { text.textContent = error.message; });
    return node;
  }

  function draw() {
    const first = Math.max(0, Math.floor(list.scrollTop / HEIGHT) - 4);
    const last = Math.min(order.length, Math.ceil((list.scrollTop + list.clientHeight) / HEIGHT) + 4);
    for (const [place, node] of drawn) if (place < first || place >= last) { node.remove(); drawn.delete(place); }
    for (let place = first; place < last; place += 1) {
      if (!drawn.has(place)) { const node = line(place); drawn.set(place, node); sizer.append(node); }
      const node = drawn.get(place);
      node.setAttribute("aria-selected", String(place === state.active));
      node.classList.toggle("open", order[place] === state.open);
    }
    if (order.length && drawn.has(state.active)) list.setAttribute("aria-activedescendant", `row-${order[state.active]}`);
    else list.removeAttribute("aria-activedescendant");
  }

  function restart() {
    arrange();
    state.active = 0;
    const open = order.indexOf(state.open);
    if (open >= 0) state.active = open;
    for (const node of drawn.values()) node.remove();
    drawn.clear();
    sizer.style.height = `${order.length * HEIGHT}px`;
    list.scrollTop = open >= 0 ? Math.max(0, (open - 2) * HEIGHT) : 0;
    direction.textContent = state.down ? "Descending" : "Ascending";
    note.textContent = order.length ? `${plural(order.length, "problem")}${order.length < count ? ` of ${grouped(count)}` : ""}` : "No problem matches. Use fewer words, or widen the filters.";
    panes.hidden = !order.length;
    draw();
  }

  function move(to) {
    state.active = Math.max(0, Math.min(order.length - 1, to));
    const top = state.active * HEIGHT;
    if (top < list.scrollTop) list.scrollTop = top;
    else if (top + HEIGHT > list.scrollTop + list.clientHeight) list.scrollTop = top + HEIGHT - list.clientHeight;
    draw();
    if (state.open !== null) open(order[state.active]);
  }

  // The reader.
  const hint = () => el("p", { class: "hint quiet" }, "Choose a problem: its rationale, label, attempts and lineage open here. ", el("kbd", {}, "↑"), " ", el("kbd", {}, "↓"), " move, ", el("kbd", {}, "Enter"), " opens, ", el("kbd", {}, "/"), " searches, ", el("kbd", {}, "Esc"), " closes.");
  function close() {
    state.open = null;
    panes.classList.remove("reading");
    reader.replaceChildren(hint());
    draw();
    list.focus({ preventScroll: true });
  }
  async function open(at, { focus = false } = {}) {
    state.open = at;
    draw();
    let row;
    try { row = await rowAt(at); } catch (error) { say(error.message); reader.replaceChildren(el("p", { class: "empty" }, error.message)); return; }
    if (state.open !== at) return;
    panes.classList.add("reading");
    const again = () => { state.plain = !state.plain; open(at); };
    reader.replaceChildren(el("p", { class: "closer" }, el("button", { type: "button", onclick: close }, "Close"), el("span", { class: "quiet" }, `problem ${grouped(at + 1)} of ${grouped(count)}`)), details(row, { plain: state.plain, onplain: again }));
    reader.scrollTop = 0;
    if (focus) reader.focus({ preventScroll: true });
  }
  openPlace = (at) => {
    Object.assign(state, { level: "", concepts: "", status: "", label: "", verdict: "", rate: "", key: "order", down: false, open: at });
    for (const field of controls.querySelectorAll("select")) field.selectedIndex = 0;
    search.value = "";
    hits = null;
    turn += 1;
    restart();
    open(at, { focus: true });
    document.getElementById("explore").scrollIntoView();
  };

  // Keyboard and mouse.
  list.addEventListener("scroll", draw, { passive: true });
  new ResizeObserver(draw).observe(list);
  list.addEventListener("click", (event) => {
    const node = event.target.closest(".row");
    if (!node) return;
    const at = Number(node.id.slice(4));
    state.active = order.indexOf(at);
    open(at, { focus: list.clientWidth > 0.7 * panes.clientWidth });
  });
  const step = () => Math.max(1, Math.floor(list.clientHeight / HEIGHT) - 1);
  const MOVES = { ArrowDown: () => state.active + 1, ArrowUp: () => state.active - 1, PageDown: () => state.active + step(), PageUp: () => state.active - step(), Home: () => 0, End: () => order.length - 1 };
  list.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key in MOVES) { event.preventDefault(); move(MOVES[event.key]()); }
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); if (order.length) open(order[state.active], { focus: event.key === "Enter" }); }
  });
  search.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" && order.length) { event.preventDefault(); list.focus(); draw(); }
    if (event.key === "Escape" && search.value) { event.preventDefault(); event.stopPropagation(); search.value = ""; seek(); }
  });
  document.addEventListener("keydown", (event) => {
    const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
    if (event.key === "/" && !typing && !event.ctrlKey && !event.altKey && !event.metaKey) { event.preventDefault(); search.focus(); search.select(); }
    if (event.key === "Escape" && !event.defaultPrevented && state.open !== null && explorer.contains(event.target)) close();
  });

  explorer.append(controls, note, panes);
  reader.append(hint());
  explorer.hidden = false;
  restart();
}

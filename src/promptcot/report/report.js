"use strict";
// The theme button and the table of problems. Everything that a model wrote enters the page through `el`, which makes text nodes
// and nothing else; the security policy refuses whatever would parse a string as HTML.
(() => {
  const PAGE = 50;
  const EXCERPT = 220;
  const data = JSON.parse(document.getElementById("report-data").textContent);

  /** An element with attributes, listeners (`onclick`) and children; a string child becomes a text node. */
  function el(tag, attributes, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (value !== false && value !== undefined) node.setAttribute(name, value === true ? "" : value);
    }
    node.append(...children.filter((child) => child !== "" && child !== null));
    return node;
  }

  const say = (text) => { document.getElementById("said").textContent = text; };
  const words = (name) => name.replaceAll("_", " ");
  const plural = (n, noun) => `${n.toLocaleString("en")} ${noun}${n === 1 ? "" : "s"}`;
  const prose = (text) => el("p", { class: "prose", dir: "auto" }, text);
  const quiet = (text) => el("span", { class: "quiet" }, text);

  // Theme: the system's, unless the reader chose.
  const root = document.documentElement;
  const theme = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const nameTheme = () => { theme.textContent = dark() ? "Light theme" : "Dark theme"; };
  const remember = (choice) => {
    try { return choice ? localStorage.setItem("promptcot-theme", choice) : localStorage.getItem("promptcot-theme"); }
    catch (error) { if (error.name !== "SecurityError" && error.name !== "QuotaExceededError") throw error; }
    return null; // storage is off: the choice lasts for this visit
  };
  const stored = remember();
  if (stored === "dark" || stored === "light") root.dataset.theme = stored;
  theme.hidden = false;
  theme.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; remember(root.dataset.theme); nameTheme(); });
  system.addEventListener("change", nameTheme);
  nameTheme();

  const explorer = document.getElementById("explorer");
  if (!explorer) return;

  // Rows. `lower` is what the search reads, made when first needed.
  const rows = data.problems.map((row, index) => ({ row, index, lower: null }));
  const haystack = (item) => (item.lower ??= [item.row.problem, item.row.rationale, item.row.id, item.row.level, ...item.row.concepts].join("\n").toLowerCase());
  const scoreNames = [...new Set(data.problems.flatMap((row) => Object.keys(row.scores)))].sort();
  const KEYS = new Map([
    ["order", ["as written", (item) => item.index]],
    ["problem", ["problem text", (item) => item.row.problem]],
    ["level", ["level", (item) => item.row.level]],
    ["status", ["status", (item) => item.row.dropped ?? ""]],
    ["length", ["problem length", (item) => item.row.problem.length]],
    ...scoreNames.map((name) => [`score ${name}`, [words(name), (item) => item.row.scores[name]]]),
  ]);
  const state = { query: "", level: "", concept: "", status: "", key: "order", down: false, page: 0, open: new Set() };

  function matches(item, wanted) {
    const { row } = item;
    if (state.level && `=${row.level}` !== state.level) return false;
    if (state.concept && !row.concepts.some((concept) => `=${concept}` === state.concept)) return false;
    if (state.status === "kept" && row.dropped !== null) return false;
    if (state.status === "dropped" && row.dropped === null) return false;
    if (state.status.startsWith("=") && `=${row.dropped}` !== state.status) return false;
    return wanted.every((word) => haystack(item).includes(word));
  }

  /** Numbers before words, and what is missing last, whichever way the sort runs. */
  function compare(a, b, key) {
    const [x, y] = [key(a), key(b)];
    const rank = (v) => (v === undefined ? 2 : typeof v === "number" ? 0 : 1);
    if (rank(x) !== rank(y)) return rank(x) - rank(y);
    const order = rank(x) === 0 ? x - y : rank(x) === 1 ? (x < y ? -1 : x > y ? 1 : 0) : 0;
    return (state.down ? -order : order) || a.index - b.index;
  }

  function selection() {
    const wanted = state.query.toLowerCase().split(/\s+/).filter(Boolean);
    const key = KEYS.get(state.key)[1];
    return rows.filter((item) => matches(item, wanted)).sort((a, b) => compare(a, b, key));
  }

  // Controls.
  function counted(values) {
    const counts = new Map();
    for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
    return [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
  }

  function choice(label, field, options) {
    const select = el("select", { onchange: () => { state[field] = select.value; restart(); } }, ...options.map(([value, text]) => el("option", { value }, text)));
    return el("label", {}, el("span", {}, label), select);
  }

  const options = (all, values) => [["", all], ...counted(values).map(([value, n]) => [`=${value}`, `${words(value) || "none"} (${n})`])];
  const dropped = data.problems.map((row) => row.dropped).filter((reason) => reason !== null);
  const statuses = [["", "any status"], ["kept", `kept (${rows.length - dropped.length})`], ["dropped", `dropped (${dropped.length})`], ...options("", dropped).slice(1)];
  let waiting = 0;
  const search = el("input", { type: "search", placeholder: "Words, or an id", autocomplete: "off", spellcheck: "false" });
  const seek = () => { state.query = search.value; restart(); };
  search.addEventListener("input", () => {
    clearTimeout(waiting);
    if (rows.length > 2000) waiting = setTimeout(seek, 150);
    else seek();
  });
  const sort = choice("Sort by", "key", [...KEYS].map(([name, [label]]) => [name, label]));
  const direction = el("button", { type: "button", onclick: () => { state.down = !state.down; restart(); } }, "Ascending");
  const controls = el("div", { class: "controls", role: "search", "aria-label": "Problems" },
    el("label", { class: "search" }, el("span", {}, "Search"), search),
    choice("Level", "level", options("all levels", data.problems.map((row) => row.level))),
    choice("Concept", "concept", options("all concepts", data.problems.flatMap((row) => [...new Set(row.concepts)]))),
    choice("Status", "status", statuses),
    el("div", { class: "sorting" }, sort, direction));

  // One row and what it opens.
  function status(row) {
    return row.dropped === null ? el("span", { class: "pill kept" }, "kept") : el("span", { class: "pill lost" }, words(row.dropped));
  }

  function excerpt(text) {
    const start = text.slice(0, EXCERPT).replace(/[\uD800-\uDBFF]$/, "").replace(/\s+/g, " ").trim();
    return (start || "(empty)") + (text.length > EXCERPT ? "…" : "");
  }

  function score(value) {
    return typeof value === "number" ? String(Number(value.toPrecision(4))).replace("-", "\u2212") : value;
  }

  function copyButton(row) {
    const json = JSON.stringify(row, null, 2);
    const button = el("button", { type: "button" }, "Copy as JSON");
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(json);
        say("Copied.");
        button.textContent = "Copied";
        setTimeout(() => { button.textContent = "Copy as JSON"; }, 1500);
      } catch (error) {
        const area = el("textarea", { readonly: true, rows: "8", "aria-label": "The row as JSON" }, json);
        button.replaceWith(area);
        area.select();
        say(`The browser does not let this page copy (${error.name}); the text is selected.`);
      }
    });
    return button;
  }

  const part = (title, ...children) => (children.length ? el("section", {}, el("h3", {}, title), ...children) : null);

  function lineage(row) {
    const steps = row.lineage.map((step) => el("li", {}, el("p", {}, el("b", { dir: "auto" }, words(step.kind)), " ", el("code", {}, step.id)), step.text ? prose(step.text) : null));
    return steps.length ? part("Lineage", el("ol", { class: "lineage" }, ...steps)) : null;
  }

  function details(row) {
    const scores = Object.entries(row.scores).map(([name, value]) => el("div", {}, el("dt", {}, words(name)), el("dd", { dir: "auto" }, score(value))));
    return el("div", { class: "details" },
      el("div", { class: "texts" },
        row.dropped !== null ? part(`Dropped: ${words(row.dropped)}`, prose(row.detail || "No detail was recorded.")) : null,
        part("Problem", prose(row.problem)),
        row.rationale ? part("Rationale", prose(row.rationale)) : null),
      el("div", { class: "facts-of" },
        row.concepts.length ? part("Concepts", el("ul", { class: "chips concepts" }, ...row.concepts.map((concept) => el("li", { dir: "auto" }, concept)))) : null,
        scores.length ? part("Scores", el("dl", { class: "scores" }, ...scores)) : null,
        lineage(row),
        part("Row", el("p", {}, el("code", {}, row.id), " ", quiet(row.domain)), copyButton(row))));
  }

  function lines(item) {
    const { row, index } = item;
    const open = state.open.has(index);
    const target = `row-${index}`;
    const button = el("button", { type: "button", class: "opener", "aria-expanded": String(open), "aria-controls": open ? target : false }, el("bdi", {}, excerpt(row.problem)));
    const tr = el("tr", { class: open ? "row open" : "row" },
      el("td", { class: "text" }, button),
      el("td", { class: "level" }, el("bdi", {}, row.level || "–")),
      el("td", { class: "concepts" }, el("bdi", {}, row.concepts.join(" · ") || "–")),
      el("td", { class: "status" }, status(row)));
    tr.addEventListener("click", () => { if (!String(getSelection())) toggle(item, tr); });
    return open ? [tr, opened(row, target)] : [tr];
  }

  const opened = (row, id) => el("tr", { class: "opened", id }, el("td", { colspan: "4" }, details(row)));

  function toggle(item, tr) {
    const button = tr.querySelector(".opener");
    const open = !state.open.delete(item.index);
    if (open) {
      state.open.add(item.index);
      tr.after(opened(item.row, `row-${item.index}`));
      button.setAttribute("aria-controls", `row-${item.index}`);
    } else {
      tr.nextElementSibling.remove();
      button.removeAttribute("aria-controls");
    }
    button.setAttribute("aria-expanded", String(open));
    tr.classList.toggle("open", open);
  }

  // The table and its pages.
  const COLUMNS = [["problem", "Problem"], ["level", "Level"], [null, "Concepts"], ["status", "Status"]];
  const heads = COLUMNS.map(([key, label]) => el("th", { scope: "col" }, key ? el("button", { type: "button", onclick: () => sortBy(key) }, label) : label));
  const body = el("tbody");
  const table = el("table", { class: "problems" }, el("thead", {}, el("tr", {}, ...heads)), body);
  const found = el("p", { class: "found", role: "status" });
  const back = el("button", { type: "button", onclick: () => turn(-1) }, "Previous");
  const next = el("button", { type: "button", onclick: () => turn(1) }, "Next");
  const place = el("span", { class: "quiet" });
  const pager = el("nav", { class: "pager", "aria-label": "Pages" }, back, place, next);

  function sortBy(key) {
    state.down = state.key === key && !state.down;
    state.key = key;
    sort.querySelector("select").value = key;
    restart();
  }

  function turn(by) {
    state.page += by;
    draw();
    controls.scrollIntoView({ block: "start" });
  }

  function restart() {
    state.page = 0;
    draw();
  }

  function draw() {
    const all = selection();
    const from = state.page * PAGE;
    const shown = all.slice(from, from + PAGE);
    body.replaceChildren(...shown.flatMap(lines));
    table.hidden = all.length === 0;
    pager.hidden = all.length <= PAGE;
    back.disabled = from === 0;
    next.disabled = from + PAGE >= all.length;
    place.textContent = `${(from + 1).toLocaleString("en")} to ${(from + shown.length).toLocaleString("en")} of ${all.length.toLocaleString("en")}`;
    found.textContent = all.length ? `${plural(all.length, "problem")}${all.length < rows.length ? ` of ${rows.length.toLocaleString("en")}` : ""}` : "No problem matches. Use fewer words, or widen the filters.";
    direction.textContent = state.down ? "Descending" : "Ascending";
    COLUMNS.forEach(([key], column) => {
      if (key && key === state.key) heads[column].setAttribute("aria-sort", state.down ? "descending" : "ascending");
      else heads[column].removeAttribute("aria-sort");
    });
  }

  explorer.append(controls, found, table, pager);
  explorer.hidden = false;
  draw();
})();

// One row with its whole lineage.
const FAILED = new Set(["wrong", "program_error", "program_timeout", "no_answer", "truncated", "undecided"]);
const part = (title, ...children) => (children.some(Boolean) ? el("section", {}, el("h3", {}, title), ...children) : null);

function standing(row) {
  return row.dropped === null ? el("span", { class: "pill kept" }, "kept") : el("span", { class: "pill lost" }, words(row.dropped));
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

const facts = (pairs) => el("dl", { class: "scores" }, ...pairs.map(([name, value]) => el("div", {}, el("dt", { dir: "auto" }, name), el("dd", { dir: "auto" }, value))));

function labelOf(label) {
  if (label === null) return null;
  if (!label.kind) return part("No label", el("p", {}, el("span", { class: "pill lost" }, words(label.status)), " ", quiet(label.detail)));
  const pairs = [["worth", words(label.status)], ["from", words(label.kind)]];
  if (label.tests) pairs.push(["unit tests", grouped(label.tests)]);
  return part("Label", label.answer ? el("p", { class: "answer", dir: "auto" }, label.answer) : null, facts(pairs));
}

function attempt(one, plain) {
  const kind = one.verdict === "correct" ? "gain" : FAILED.has(one.verdict) ? "worse" : "";
  const head = el("summary", {}, el("span", { class: `pill ${kind}` }, one.verdict ? words(one.verdict) : "drawn"), " ",
    quiet(`${one.step}, draw ${one.draw}${one.tokens === null ? "" : `, ${plural(one.tokens, "token")}`}`));
  const box = el("details", {}, head);
  box.addEventListener("toggle", () => {
    if (!box.open || box.children.length > 1) return;
    box.append(...(one.cut ? [el("p", { class: "quiet small" }, `${grouped(one.cut)} characters before this are left out.`)] : []), prose(one.text, { plain }));
  });
  return el("li", {}, box);
}

function attempts(row, plain) {
  const rate = row.pass_rate;
  const more = row.attempts_made - row.attempts.length;
  return part("Attempts",
    rate === null ? null : el("p", {}, el("b", {}, percent(rate.value)), " right ", quiet(`[${percent(rate.low)}, ${percent(rate.high)}], ${plural(rate.n, "attempt")} counted`)),
    row.attempts.length ? el("ol", { class: "attempts" }, ...row.attempts.map((one) => attempt(one, plain))) : null,
    more > 0 ? el("p", { class: "quiet small" }, `${grouped(more)} more in the run's tables: promptcot explain`) : null);
}

function lineage(row) {
  const steps = row.lineage.map((step) => el("li", {}, el("p", {}, el("b", { dir: "auto" }, words(step.kind)), " ", el("code", {}, step.id)), step.text ? el("p", { dir: "auto" }, step.text) : null));
  return steps.length ? part("Lineage", el("ol", { class: "lineage" }, ...steps)) : null;
}

/** Everything known of a row. `plain`: its texts as they were written, nothing typeset. */
function details(row, { plain, onplain }) {
  const scores = Object.entries(row.scores).map(([name, value]) => [words(name), number(value)]);
  return el("div", { class: "details" },
    el("p", { class: "standing" }, standing(row), " ", el("bdi", {}, row.level || "no level"), " ", quiet(row.domain)),
    row.dropped === null ? null : part(`Dropped: ${words(row.dropped)}`, prose(row.detail || "No detail was recorded.", { plain: true })),
    part("Problem", prose(row.problem, { plain })),
    row.concepts.length ? part("Concepts", el("ul", { class: "chips concepts" }, ...row.concepts.map((concept) => el("li", { dir: "auto" }, concept)))) : null,
    row.rationale ? part("Rationale", prose(row.rationale, { plain })) : null,
    labelOf(row.label),
    row.attempts.length || row.pass_rate !== null ? attempts(row, plain) : null,
    scores.length ? part("Scores", facts(scores)) : null,
    lineage(row),
    part("Row", el("p", {}, el("code", {}, row.id)), el("p", { class: "actions" }, copyButton(row),
      el("button", { type: "button", "aria-pressed": String(plain), onclick: onplain }, plain ? "Show typeset" : "Show source"))));
}

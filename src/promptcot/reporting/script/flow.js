// The parts of the flow picture list their rows below it.
const listing = document.getElementById("part-rows");
async function listPart(node) {
  for (const other of document.querySelectorAll(".part.chosen")) other.classList.remove("chosen");
  const title = node.getAttribute("aria-label").replace(/\. Show them$/, "");
  let found;
  try { found = await chunk(`part-${node.dataset.part}`); } catch (error) { say(error.message); return; }
  node.classList.add("chosen");
  const items = found.rows.map((row) => el("li", {},
    el("p", { class: "prose", dir: "auto" }, excerpt(row.text, 600)),
    row.detail ? el("p", { class: "quiet small", dir: "auto" }, excerpt(row.detail, 300)) : null,
    el("p", { class: "small" }, el("code", {}, row.id), " ", row.at === null ? null : el("button", { type: "button", class: "link", onclick: () => openPlace(row.at) }, "its lineage"))));
  const shut = () => { node.classList.remove("chosen"); listing.hidden = true; listing.replaceChildren(); node.focus(); };
  listing.replaceChildren(
    el("p", { class: "closer" }, el("b", { dir: "auto" }, title), el("button", { type: "button", onclick: shut }, "Close")),
    el("ol", { class: "rows", tabindex: "0", "aria-label": title }, ...items),
    found.left ? el("p", { class: "quiet small" }, `The first ${grouped(found.rows.length)}; ${grouped(found.left)} more: `, el("code", {}, found.command)) : el("p", { class: "quiet small" }, el("code", {}, found.command)));
  listing.hidden = false;
  listing.focus({ preventScroll: true });
  listing.scrollIntoView({ block: "nearest" });
  listing.onkeydown = (event) => { if (event.key === "Escape") { event.preventDefault(); shut(); } };
}
for (const node of document.querySelectorAll(".part")) {
  node.addEventListener("click", () => listPart(node));
  node.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); listPart(node); } });
}

// What all parts of the page use. Everything that a model wrote enters the page through `el`, which makes text nodes and nothing else; the
// security policy refuses whatever would parse a string as HTML.
const page = JSON.parse(document.getElementById("report-data").textContent);

/** An element with attributes, listeners (`onclick`) and children; a string child becomes a text node. */
function el(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== false && value !== undefined) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== "" && child !== null && child !== undefined));
  return node;
}

const say = (text) => { document.getElementById("said").textContent = text; };
const words = (name) => name.replaceAll("_", " ");
const grouped = (n) => n.toLocaleString("en");
const plural = (n, noun) => `${grouped(n)} ${noun}${n === 1 ? "" : "s"}`;
const quiet = (text) => el("span", { class: "quiet" }, text);
const number = (value) => (typeof value === "number" ? String(Number(value.toPrecision(4))).replace("-", "\u2212") : String(value));
const percent = (share) => `${Number((100 * share).toPrecision(3))}\u00a0%`;

function excerpt(text, length = 220) {
  const start = text.slice(0, length).replace(/[\uD800-\uDBFF]$/, "").replace(/\s+/g, " ").trim();
  return (start || "(empty)") + (text.length > length ? "…" : "");
}

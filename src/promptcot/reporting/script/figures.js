// Every figure can be saved, as SVG or as PNG. Colors and type come from the page's style, so they are written into the copy.
const PAINT = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "stroke-opacity", "opacity", "font-family", "font-size", "font-weight"];

function standalone(svg) {
  const copy = svg.cloneNode(true);
  const of = [...svg.querySelectorAll("*")];
  [...copy.querySelectorAll("*")].forEach((node, at) => {
    const style = getComputedStyle(of[at]);
    for (const name of PAINT) node.setAttribute(name, style.getPropertyValue(name));
    for (const name of ["class", "tabindex", "role", "data-part"]) node.removeAttribute(name);
  });
  for (const name of ["class", "role"]) copy.removeAttribute(name);
  const [, , width, height] = svg.getAttribute("viewBox").split(" ").map(Number);
  const pad = 16;
  for (const [name, value] of [["xmlns", "http://www.w3.org/2000/svg"], ["width", width + 2 * pad], ["height", height + 2 * pad], ["viewBox", `${-pad} ${-pad} ${width + 2 * pad} ${height + 2 * pad}`]]) copy.setAttribute(name, value);
  const ground = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  for (const [name, value] of [["x", -pad], ["y", -pad], ["width", width + 2 * pad], ["height", height + 2 * pad], ["fill", getComputedStyle(svg.closest("figure, .sheet") ?? document.body).backgroundColor]]) ground.setAttribute(name, value);
  copy.prepend(ground);
  return { text: new XMLSerializer().serializeToString(copy), width: width + 2 * pad, height: height + 2 * pad };
}

function save(blob, name) {
  const link = el("a", { download: name, href: URL.createObjectURL(blob) });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  say(`Saved ${name}.`);
}

async function savePng(made, name) {
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(made.text)}`;
  await image.decode();
  const canvas = el("canvas", { width: String(2 * made.width), height: String(2 * made.height) });
  canvas.getContext("2d").drawImage(image, 0, 0, 2 * made.width, 2 * made.height);
  canvas.toBlob((blob) => save(blob, name), "image/png");
}

for (const figure of document.querySelectorAll("figure, .sheet")) {
  const title = figure.dataset.name || figure.querySelector("figcaption b")?.textContent || "figure";
  const name = title.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "") || "figure";
  const shown = () => [...figure.querySelectorAll("svg")].find((svg) => svg.checkVisibility());
  figure.append(el("p", { class: "savers" },
    el("button", { type: "button", "aria-label": `Save ${title} as SVG`, onclick: () => save(new Blob([standalone(shown()).text], { type: "image/svg+xml" }), `${name}.svg`) }, "SVG"),
    el("button", { type: "button", "aria-label": `Save ${title} as PNG`, onclick: () => savePng(standalone(shown()), `${name}.png`) }, "PNG")));
}

"""Questions to a page in the browser, as JavaScript functions: what is faint, unnamed, outside, altered, parsed, fetched."""

# Every visible text whose contrast with its background is below WCAG AA, as `text: ratio`.
FAINT = """() => {
  const channels = (color) => color.match(/[\\d.]+/g).map(Number);
  const linear = (c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4);
  const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const behind = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const color = channels(getComputedStyle(at).backgroundColor);
      if (color.length === 3 || color[3] === 1) return color;
    }
    return [255, 255, 255];
  };
  const faint = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = walker.nextNode(); text; text = walker.nextNode()) {
    const node = text.parentElement;
    if (!text.data.trim() || !node.checkVisibility()) continue;
    if (node.closest("script, style, noscript, option, title, :disabled, .unseen")) continue;
    const style = getComputedStyle(node);
    const [a, b] = [luminance(channels(node.closest("svg") ? style.fill : style.color)), luminance(behind(node))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5)) faint.push(`${text.data.slice(0, 40)}: ${ratio.toFixed(2)}`);
  }
  return faint;
}"""

# Every control without an accessible name, and every id that is used twice or referred to in vain.
UNNAMED = """() => {
  const labels = (node) => [...(node.labels || [])].map((label) => label.textContent).join("");
  const name = (node) => (node.getAttribute("aria-label") || labels(node) || node.textContent).trim();
  const controls = [...document.querySelectorAll("button, a, input, select, textarea, summary, [role=img], [role=region]")];
  const ids = [...document.querySelectorAll("[id]")].map((node) => node.id);
  const values = (name) => [...document.querySelectorAll(`[${name}]`)].map((node) => node.getAttribute(name));
  const wanted = [...values("aria-controls"), ...values("aria-labelledby")];
  return [
    ...controls.filter((node) => !name(node)).map((node) => node.outerHTML),
    ...ids.filter((id, at) => ids.indexOf(id) !== at),
    ...wanted.filter((id) => !ids.includes(id)),
  ];
}"""

# Every box that sticks out of the window. Not counted: what scrolls in its own box, and inline boxes, which their block clips.
OUTSIDE = """() => [...document.body.querySelectorAll("*")]
  .filter((node) => node.checkVisibility() && !node.closest(".scroll, .unseen, .skip, thead, option, .row, .formula, .rows, pre"))
  .filter((node) => getComputedStyle(node).display !== "inline")
  .filter((node) => node.getBoundingClientRect().right > innerWidth + 0.5 || node.getBoundingClientRect().left < -0.5)
  .map((node) => node.outerHTML.slice(0, 120))"""


# What the page throws when it is asked to parse HTML.
PARSED = """() => {
  try { document.body.innerHTML = "<img src=x onerror='window.pwned = 1'>"; return "parsed"; }
  catch (error) { return error.name; }
}"""

# The directive that stops an image from elsewhere.
FETCHED = """() => new Promise((done) => {
  document.addEventListener("securitypolicyviolation", (event) => done(event.effectiveDirective));
  const image = document.createElement("img");
  image.src = "https://example.invalid/x.png";
  document.body.append(image);
})"""

# What the page throws when a script from elsewhere is asked for.
SCRIPTED = """() => {
  try { document.head.append(Object.assign(document.createElement("script"), { src: "https://example.invalid/x.js" })); return "asked"; }
  catch (error) { return error.name; }
}"""

// Data beside the page, loaded when it is wanted: a script that calls `promptcot(name, json)`. Only paths that this page names are loaded.
const arrived = new Map();
const wanted = new Map();
const known = new Set(Object.values(page.chunks));
const trusted = globalThis.trustedTypes?.createPolicy("promptcot", {
  createScriptURL: (address) => { if (known.has(address)) return address; throw new TypeError("not a part of this report"); },
});
window.promptcot = (name, json) => arrived.set(name, JSON.parse(json));

function script(name) {
  return new Promise((resolve, reject) => {
    const node = document.createElement("script");
    const address = page.chunks[name];
    node.addEventListener("load", () => { node.remove(); resolve(); });
    node.addEventListener("error", () => { node.remove(); wanted.delete(name); reject(new Error(`${address} is missing: keep the folder data beside this page.`)); });
    node.src = trusted ? trusted.createScriptURL(address) : address;
    document.head.append(node);
  });
}

/** Run a script of the report once. */
function load(name) {
  if (!wanted.has(name)) wanted.set(name, script(name));
  return wanted.get(name);
}

/** The data of a chunk; it is not kept here, so whoever asks keeps it. */
async function chunk(name) {
  await load(name);
  const value = arrived.get(name);
  arrived.delete(name);
  wanted.delete(name);
  return value;
}

/** Chunks of rows, the last few of them. */
const KEPT = 16;
const cache = new Map();
function rowsOf(place) {
  const name = `rows-${String(Math.floor(place / page.size)).padStart(4, "0")}`;
  if (!cache.has(name)) {
    const coming = chunk(name);
    coming.catch(() => cache.delete(name));
    cache.set(name, coming);
    if (cache.size > KEPT) cache.delete(cache.keys().next().value);
  } else { // the most recently used ones stay
    const value = cache.get(name);
    cache.delete(name);
    cache.set(name, value);
  }
  return cache.get(name);
}
const rowAt = async (place) => (await rowsOf(place))[place % page.size];

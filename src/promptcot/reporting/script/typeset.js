// Texts with formulas and code. KaTeX builds elements, with `trust` off: no links, images, classes or styles from the text. What it cannot
// read stays as it was written. Code is colored by a few rules of our own, since highlighters make HTML, which this page refuses to parse.
const PIECES = /```([\w+#-]*)[^\S\n]*\n([\s\S]*?)```|\$\$([\s\S]+?)\$\$|\\\[([\s\S]+?)\\\]|\\\(([\s\S]+?)\\\)|(?<![\\$])\$(?![\s$])((?:\\.|[^\\$\n])+?)(?<!\s)\$(?!\d)|(\\begin\{(align|equation|gather|cases|aligned|array|pmatrix|bmatrix)\*?\}[\s\S]+?\\end\{\8\*?\})/g;
const LIMITS = { formulas: 300, length: 4000, depth: 250, elements: 20000 }; // a browser tab dies of elements nested thousands deep
const OPTIONS = { throwOnError: true, trust: false, strict: "ignore", maxSize: 12, maxExpand: 300, output: "htmlAndMathml" };
const CODE = /(#[^\n]*|\/\/[^\n]*|\/\*[\s\S]*?\*\/)|("""[\s\S]*?"""|'''[\s\S]*?'''|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')|\b(\d[\w.]*)\b|\b(and|as|assert|async|auto|await|bool|break|case|char|class|const|continue|def|del|do|double|elif|else|except|False|false|finally|float|for|from|global|if|import|in|include|int|is|lambda|let|long|None|nonlocal|not|null|nullptr|or|pass|print|raise|return|self|std|string|struct|switch|template|this|throw|True|true|try|typename|using|vector|void|while|with|yield)\b/g;

let katex = null;
function typesetter() {
  katex ??= Promise.all([load("katex"), chunk("katex-style")]).then(([, css]) => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(css);
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
    return window.katex;
  });
  return katex;
}

function colored(text) {
  const code = el("code");
  let at = 0;
  for (const found of text.matchAll(CODE)) {
    code.append(text.slice(at, found.index), el("span", { class: ["", "remark", "string", "figure", "keyword"][found.findIndex((part, i) => i > 0 && part !== undefined)] }, found[0]));
    at = found.index + found[0].length;
  }
  code.append(text.slice(at));
  return code;
}

const codeBox = (text) => el("pre", { class: "program", tabindex: "0" }, colored(text));

/** The text's pieces: strings, `{code}`, and `{tex, display, raw}`. */
function pieces(text) {
  const found = [];
  let at = 0;
  for (const match of text.matchAll(PIECES)) {
    found.push(text.slice(at, match.index));
    const [raw, , code, dollars, bracket, paren, dollar, environment] = match;
    if (code !== undefined) found.push({ code });
    else found.push({ tex: dollars ?? bracket ?? paren ?? dollar ?? environment, display: (dollars ?? bracket ?? environment) !== undefined, raw });
    at = match.index + raw.length;
  }
  found.push(text.slice(at));
  return found.filter((piece) => piece !== "");
}

/** Whether a tree is shallow and small enough to lay out. */
function bearable(tree) {
  let level = [tree];
  for (let depth = 0, elements = 0; level.length; depth += 1) {
    elements += level.length;
    if (depth > LIMITS.depth || elements > LIMITS.elements) return false;
    level = level.flatMap((node) => [...node.children]);
  }
  return true;
}

function formula(library, piece) {
  const node = el("span", { class: piece.display ? "formula display" : "formula" });
  try {
    library.render(piece.tex, node, { ...OPTIONS, displayMode: piece.display });
    if (!bearable(node)) throw new RangeError("too deep or too large");
  } catch (error) {
    if (!(error instanceof library.ParseError) && !(error instanceof RangeError)) throw error;
    node.replaceChildren(piece.raw);
    node.className = "unread";
  }
  return node;
}

/** A text as the reader should see it. Formulas come in when KaTeX is there; until then, and where it is missing, their source stands. */
function prose(text, { plain = false } = {}) {
  if (plain) return el("p", { class: "prose", dir: "auto" }, text);
  const box = el("div", { class: "prose", dir: "auto" });
  const formulas = [];
  for (const piece of pieces(text)) {
    if (typeof piece === "string") box.append(piece);
    else if (piece.code !== undefined) box.append(codeBox(piece.code));
    else {
      const node = el("span", { class: "formula" }, piece.raw);
      if (formulas.length < LIMITS.formulas && piece.tex.length < LIMITS.length) formulas.push([node, piece]);
      box.append(node);
    }
  }
  if (formulas.length && page.chunks.katex) {
    typesetter().then((library) => { for (const [node, piece] of formulas) node.replaceWith(formula(library, piece)); }, (error) => say(error.message));
  }
  return box;
}

for (const node of document.querySelectorAll(".prose.typeset")) {
  const box = prose(node.textContent);
  box.className = node.className;
  node.replaceWith(box);
}

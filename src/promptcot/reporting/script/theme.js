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

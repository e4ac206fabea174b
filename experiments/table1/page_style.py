"""What the page looks like, and its script. Colours are named once, for light and for dark."""

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #fafaf8; --card: #ffffff; --ink: #1d2126; --faint: #5f6772; --line: #e2e3e0; --code: #eeeeea;
  --accent: #1f5fa8; --accent-ink: #ffffff;
  --supported: #1a7f47; --refuted: #b3322b; --undecided: #8a6100; --badge-ink: #ffffff;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171b; --card: #1c2026; --ink: #e4e6e9; --faint: #9aa3ae; --line: #323841; --code: #282e36;
    --accent: #7fb4f0; --accent-ink: #10202f;
    --supported: #6fcf97; --refuted: #f28b82; --undecided: #e9c46a; --badge-ink: #14171b;
  }
}
* { box-sizing: border-box; }
html { scroll-padding-top: 1.5rem; -webkit-text-size-adjust: 100%; }
@media (prefers-reduced-motion: no-preference) { html { scroll-behavior: smooth; } }
body {
  margin: 0 auto; padding: 2.5rem 1.25rem 5rem; max-width: 50rem; background: var(--paper); color: var(--ink);
  font: 1.0625rem/1.6 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  overflow-wrap: break-word;
}
main { min-width: 0; }
h1, h2, h3, h4, h5, h6 { line-height: 1.25; letter-spacing: -0.01em; text-wrap: balance; margin: 2em 0 0.6em; }
h1 { font-size: clamp(1.75rem, 1.3rem + 2.4vw, 2.25rem); letter-spacing: -0.022em; margin: 0 0 0.5em; }
h2 { font-size: 1.5rem; padding-top: 1.1em; border-top: 1px solid var(--line); }
h3 { font-size: 1.2rem; margin-top: 2em; }
h4, h5, h6 { font-size: 1.0625rem; margin-top: 1.8em; }
p { margin: 0 0 1em; max-width: 44rem; }
a { color: var(--accent); text-decoration-thickness: 1px; text-underline-offset: 0.15em; }
code { font: 0.9em ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
code { background: var(--code); border-radius: 4px; padding: 0.1em 0.35em; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }

nav { font-size: 0.9rem; line-height: 1.4; margin-bottom: 2.5rem; }
nav p { margin: 0 0 0.6em; color: var(--faint); font-size: 0.8rem; letter-spacing: 0.06em; text-transform: uppercase; }
nav ul { list-style: none; margin: 0; padding: 0; }
nav li { padding: 0.25em 0 0.25em calc(var(--depth) * 0.9rem); }
nav a { display: block; color: var(--ink); text-decoration: none; }
nav a:hover { color: var(--accent); text-decoration: underline; }
@media (min-width: 66rem) {
  body:has(nav) { display: grid; grid-template-columns: 12rem minmax(0, 56rem); gap: 3.5rem; max-width: 74rem; }
  nav { position: sticky; top: 2.5rem; align-self: start; max-height: calc(100vh - 5rem); overflow-y: auto; }
}

.table {
  overflow-x: auto; margin: 1.5rem 0 2rem; background-repeat: no-repeat; background-position: right;
  background-image: linear-gradient(to left, var(--paper) 40%, transparent), linear-gradient(to left, #0000002e, #0000);
  background-size: 3rem 100%, 0.75rem 100%; background-attachment: local, scroll; /* a shadow where it goes on */
}
table { border-collapse: separate; border-spacing: 0; min-width: 100%; font-size: 0.9rem; line-height: 1.4; }
th, td { padding: 0.5rem 0.75rem; text-align: left; vertical-align: baseline; border-bottom: 1px solid var(--line); }
td { min-width: 8rem; overflow-wrap: normal; }
:is(th, td):first-child { padding-left: 0.25rem; position: sticky; left: 0; background: var(--paper); }
:is(th, td):last-child { padding-right: 0.25rem; }
th { border-bottom-width: 2px; font-size: 0.8rem; font-weight: 600; color: var(--faint); vertical-align: bottom; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
td.number { min-width: 0; white-space: nowrap; }
tbody tr:hover > * { background: color-mix(in srgb, var(--accent) 8%, var(--paper)); }

figure { margin: 1.75rem 0 2.25rem; }
figcaption { margin-top: 0.75rem; color: var(--faint); font-size: 0.9rem; line-height: 1.5; }
.plot > div { background: #ffffff; border: 1px solid var(--line); border-radius: 10px; padding: 0.75rem; }
.plot img { display: block; max-width: 100%; height: auto; margin: 0 auto; }

.counts { display: flex; flex-wrap: wrap; gap: 0.5rem; margin: 0 0 1.5em; }
.badge {
  display: inline-block; border-radius: 99px; padding: 0.2em 0.8em; font-size: 0.8rem; line-height: 1.5;
  font-weight: 650; white-space: nowrap; color: var(--badge-ink);
}
.badge.supported { background: var(--supported); }
.badge.refuted { background: var(--refuted); }
.badge.undecided { background: var(--undecided); }
.verdict {
  margin: 1.25rem 0; padding: 1.1rem 1.35rem 1.2rem; background: var(--card); border: 1px solid var(--line);
  border-left: 5px solid; border-radius: 10px; box-shadow: 0 1px 3px rgb(0 0 0 / 6%);
}
.verdict.supported { border-left-color: var(--supported); }
.verdict.refuted { border-left-color: var(--refuted); }
.verdict.undecided { border-left-color: var(--undecided); }
.verdict > p:first-child { display: flex; flex-wrap: wrap; gap: 0.3rem 0.75rem; align-items: center; margin: 0; }
.verdict > p:first-child > span:last-child { color: var(--faint); font-size: 0.85rem; min-width: 0; }
.verdict .statement { margin: 0.65rem 0 0.9rem; font-size: 1.15rem; font-weight: 600; line-height: 1.4; }
dl { margin: 0; font-size: 0.95rem; line-height: 1.5; }
dl > div { display: grid; grid-template-columns: 7rem minmax(0, 1fr); gap: 0.75rem; padding: 0.3rem 0; }
dl > div:last-child { border-top: 1px solid var(--line); margin-top: 0.4rem; padding: 0.7rem 0 0; }
dt { color: var(--faint); }
dd { margin: 0; }
@media (max-width: 32rem) { dl > div { grid-template-columns: minmax(0, 1fr); gap: 0; } }

.scenes > div { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); gap: 1.5rem; }
.scene { min-width: 0; --wipe: 50%; }
.stage { position: relative; width: min(100%, 80vh * var(--ratio)); aspect-ratio: var(--ratio); overflow: hidden; }
.stage { border-radius: 8px; background: var(--line); }
.layer { position: absolute; inset: 0; display: none; }
.layer:first-child { display: block; }
.layer:not(:first-child) { clip-path: inset(0 0 0 var(--wipe)); }
.layer img { display: block; width: 100%; height: 100%; }
.labels { image-rendering: pixelated; }
.tag { position: absolute; bottom: 0.5rem; right: 0.5rem; max-width: 45%; padding: 0 0.5em; border-radius: 4px; }
.tag { background: rgb(0 0 0 / 62%); color: #ffffff; font-size: 0.75rem; line-height: 1.7; }
.tag { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.layer:first-child .tag { right: auto; left: 0.5rem; }
.handle {
  position: absolute; top: 0; bottom: 0; left: var(--wipe); width: 2px; margin-left: -1px; background: #ffffff;
  box-shadow: 0 0 0 1px rgb(0 0 0 / 35%); pointer-events: none;
}
.handle::after {
  content: "\\2194"; position: absolute; top: 50%; left: 50%; translate: -50% -50%; width: 2.1rem; height: 2.1rem;
  border-radius: 50%; background: #ffffff; color: #1d2126; font: 1.1rem/2.1rem system-ui, sans-serif;
  text-align: center; box-shadow: 0 1px 5px rgb(0 0 0 / 45%);
}
.wipe { position: absolute; inset: 0; width: 100%; height: 100%; margin: 0; opacity: 0; cursor: ew-resize; }
.wipe { appearance: none; touch-action: pan-y; }
.wipe::-webkit-slider-thumb { appearance: none; width: 2px; height: 100%; }
.wipe::-moz-range-thumb { width: 2px; height: 100%; border: 0; }
.wipe:focus-visible + .handle::after { outline: 3px solid var(--accent); }
.scene:has([value="0"]:checked) :is(.wipe, .handle) { display: none; }
.buttons { display: flex; flex-wrap: wrap; gap: 0.35rem; margin-top: 0.6rem; font-size: 0.8rem; line-height: 1.4; }
.buttons label { position: relative; cursor: pointer; max-width: 100%; }
.buttons input { position: absolute; inset: 0; margin: 0; opacity: 0; cursor: pointer; }
.buttons span { display: block; padding: 0.3em 0.75em; border: 1px solid var(--line); border-radius: 1rem; }
.buttons span { background: var(--card); }
.buttons label:hover span { border-color: var(--accent); }
.buttons :checked + span { background: var(--accent); border-color: var(--accent); color: var(--accent-ink); }
.buttons :focus-visible + span { outline: 2px solid var(--accent); outline-offset: 2px; }
.legend { display: flex; flex-wrap: wrap; gap: 0.35rem 1.1rem; list-style: none; margin: 1.25rem 0 0; padding: 0; }
.legend { font-size: 0.85rem; line-height: 1.4; }
.legend li { display: flex; gap: 0.45rem; align-items: center; min-width: 0; }
.legend span { flex: none; width: 0.95rem; height: 0.95rem; border-radius: 3px; }
.legend span { border: 1px solid rgb(128 128 128 / 55%); }

@media print { body { max-width: none; } nav { display: none; } figure, .verdict, tr { break-inside: avoid; } }
"""

# Without the script nobody can move the divider: picture and chosen layer stand side by side.
NO_SCRIPT_STYLE = """
.stage { display: grid; grid-template-columns: 1fr 1fr; gap: 2px; aspect-ratio: auto; }
.layer { position: relative; }
.layer:not(:first-child) { clip-path: none; }
.wipe, .handle { display: none; }
"""

SCRIPT = """
for (const scene of document.querySelectorAll(".scene")) {
  const wipe = scene.querySelector(".wipe");
  const move = () => scene.style.setProperty("--wipe", wipe.value + "%");
  wipe.addEventListener("input", move);
  move();
}
"""

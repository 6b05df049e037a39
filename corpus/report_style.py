"""The style sheet of the HTML report: light and dark, wide screens and phones."""

STYLE = """
:root {
  color-scheme: light dark;
  --ink: #1c2126; --soft: #5c6770; --paper: #fff; --panel: #f4f6f8; --edge: #d9dfe4;
  --removed: #c4342d; --removed-paper: #fde3e1; --added: #187a3e; --added-paper: #d9f2e2;
  --changed: #c98a00; --bar: #4a7fb5; --warning: #fff4d6;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e4e8eb; --soft: #98a4ad; --paper: #15191c; --panel: #1f2529; --edge: #384148;
    --removed: #ff857d; --removed-paper: #4b2220; --added: #7cd79d; --added-paper: #173d27;
    --changed: #e8b44c; --bar: #6f9fce; --warning: #40340f;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 1rem; max-width: 72rem; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Apple SD Gothic Neo", "Malgun Gothic",
    "Noto Sans KR", "Noto Sans CJK KR", NanumGothic, sans-serif;
  word-break: keep-all; overflow-wrap: anywhere;
}
h1 { font-size: 1.6rem; margin: .5rem 0; }
h2 { font-size: 1.25rem; margin: 2rem 0 .5rem; border-bottom: 1px solid var(--edge); }
h3 { font-size: 1.05rem; margin: 1.2rem 0 .4rem; }
h4 { font-size: .9rem; margin: .6rem 0 .2rem; color: var(--soft); }
a { color: inherit; }
small { color: var(--soft); }
summary { cursor: pointer; }
.tiles { display: flex; flex-wrap: wrap; gap: .5rem; padding: 0; list-style: none; }
.tiles li { background: var(--panel); border-radius: .4rem; padding: .4rem .8rem; }
.warnings { background: var(--warning); border-radius: .4rem; padding: .6rem .6rem .6rem 1.8rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td {
  padding: .2rem .6rem; text-align: right; vertical-align: top;
  border-bottom: 1px solid var(--edge);
}
th { font-weight: 600; color: var(--soft); }
th:first-child, td:first-child, :is(th, td):has(.text) { text-align: left; }
.wide th, .wide td { white-space: nowrap; }
.wide td:has(.text) { white-space: pre-wrap; min-width: 16rem; }
.bar {
  display: inline-block; width: 5rem; height: .6rem; background: var(--edge);
  border-radius: .15rem; overflow: hidden;
}
.bar i { display: block; height: 100%; background: var(--bar); }
.removes .bar i { background: var(--removed); }
.changes .bar i { background: var(--changed); }
.key::before {
  content: ""; display: inline-block; width: .7rem; height: .7rem; margin-right: .25rem;
}
.key.removes::before { background: var(--removed); }
.key.changes::before { background: var(--changed); }
.rule { border-bottom: 1px solid var(--edge); padding: .25rem 0; }
.rule > summary {
  display: grid; grid-template-columns: minmax(12rem, 2fr) minmax(11rem, 1fr) minmax(11rem, 1fr);
  gap: .2rem .8rem; align-items: baseline; font-variant-numeric: tabular-nums;
}
.rule > summary > span:first-child::before { content: "▸ "; color: var(--soft); }
.rule[open] > summary > span:first-child::before { content: "▾ "; }
.rule[open] > summary { background: var(--panel); }
.rule.suspect > summary code { background: var(--warning); }
p.suspect { background: var(--warning); padding: .2rem .5rem; }
.samples { padding: 0; margin: .2rem 0; list-style: none; }
.samples li {
  white-space: pre-wrap; unicode-bidi: isolate; padding: .25rem .5rem; margin: .25rem 0;
  background: var(--panel); border-radius: .3rem;
}
.text { unicode-bidi: isolate; }
.samples .removed { border-left: .25rem solid var(--removed); }
del { color: var(--removed); background: var(--removed-paper); text-decoration: line-through; }
.removed del { color: inherit; background: none; text-decoration: none; }
ins { color: var(--added); background: var(--added-paper); text-decoration: none; }
.code {
  font: .7em ui-monospace, Consolas, monospace; border: 1px solid currentColor;
  border-radius: .2rem; padding: 0 .15rem; margin: 0 .05rem; word-break: normal;
}
.columns { display: flex; flex-wrap: wrap; gap: 1rem 2rem; }
figure { margin: 0; }
figcaption { font-weight: 600; }
.bars th { font-weight: 400; }
.bars th, .bars td { border: 0; padding: 0 .4rem; font-size: .9rem; }
.bars .bar { width: 8rem; }
pre {
  background: var(--panel); padding: .6rem; overflow-x: auto; font-size: .8rem;
  white-space: pre-wrap;
}
@media (max-width: 40rem) {
  body { padding: .6rem; }
  .rule > summary { grid-template-columns: 1fr 1fr; }
  .rule > summary > span:first-child { grid-column: 1 / -1; }
  .rule .bar { width: 3.5rem; }
}
"""

// The page's half of `%threads live` (_live.py): a picture of the last minute, and a table. Plain
// DOM; no library. It tells the kernel that somebody looks, and when the page is hidden.
const MINUTE = 60;
const WIDTH = 420;
const HEIGHT = 90;
const LOOK_MS = 10000;
const KINDS = ['blas', 'openmp', 'other', 'program', 'unknown']; // as they are stacked

const LIGHT = '--blas: #b7791f; --openmp: #2f855a; --other: #805ad5; --program: #2b6cb0; --unknown: #4a5568; --over: #c62f2f;';
const DARK = '--blas: #f6ad55; --openmp: #68d391; --other: #b794f4; --program: #63b3ed; --unknown: #a0aec0; --over: #ff6b6b;';
const STYLE = `
.corewise-live { ${LIGHT} --line: var(--jp-border-color1, #8a8a8a); color: var(--jp-content-font-color1, inherit);
  font: var(--jp-code-font-size, 13px)/1.4 var(--jp-content-font-family, sans-serif); }
@media (prefers-color-scheme: dark) { .corewise-live { ${DARK} } }
[data-jp-theme-light="true"] .corewise-live { ${LIGHT} }
[data-jp-theme-light="false"] .corewise-live { ${DARK} }
.corewise-live p { margin: .2em 0 .6em; }
.corewise-live table { border-collapse: collapse; }
.corewise-live caption, .corewise-live th, .corewise-live td { text-align: left; }
.corewise-live th, .corewise-live td { padding: .2em 1.2em .2em 0; border-bottom: 1px solid var(--line); font-weight: normal; }
.corewise-live thead th, .corewise-live caption { font-weight: bold; }
.corewise-live .n { text-align: right; font-variant-numeric: tabular-nums; }
.corewise-live svg { display: block; max-width: 100%; margin: .3em 0; }
.corewise-live svg.swatch { display: inline-block; margin: 0 .4em 0 0; }
${[...KINDS, 'over'].map((kind) => `.corewise-live .${kind} { fill: var(--${kind}); }`).join('\n')}
.corewise-live .budget { stroke: currentColor; stroke-dasharray: 4 3; fill: none; }
.corewise-live .axis { stroke: var(--line); }
.corewise-live text { fill: currentColor; font-size: 11px; }`;

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function drawn(tag, attributes, text = '') {
  const made = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.textContent = text;
  return made;
}

// With four digits, as in the verdict.
function counted(count, noun) {
  return `${+count.toPrecision(4)} ${noun}${count === 1 ? '' : 's'}`;
}

// Of 1.5 CPUs, 2 threads can use all.
function tooMany(sample) {
  return sample.budget && sample.running > Math.ceil(sample.budget);
}

// One bar a sample, the newest at the right: threads by pool, stacked against the line of the CPUs.
// Where more ran, it is underlined.
function chart(history) {
  const last = history[history.length - 1];
  const budget = last.budget || 0;
  const most = Math.max(2, budget, ...history.map((sample) => sample.running));
  const y = (threads) => HEIGHT - (threads / most) * (HEIGHT - 14);
  const bar = WIDTH / MINUTE;
  const over = history.filter(tooMany).length;
  const words = `${last.verdict} Samples with more threads than CPUs: ${over} of ${history.length}.`;
  const svg = drawn('svg', { role: 'img', width: WIDTH + 70, height: HEIGHT + 20, viewBox: `0 0 ${WIDTH + 70} ${HEIGHT + 20}` });
  svg.append(drawn('title', {}, words));
  for (const sample of history) {
    const age = Math.min(MINUTE, Math.round(last.time - sample.time));
    const place = { x: WIDTH - (age + 1) * bar, width: bar - 1 };
    const group = drawn('g', { class: 'sample' });
    let below = 0;
    for (const kind of KINDS) {
      const threads = sample.pools.filter((pool) => pool.kind === kind).reduce((sum, pool) => sum + pool.running, 0);
      if (!threads) continue;
      below += threads;
      group.append(drawn('rect', { ...place, class: kind, y: y(below), height: y(0) - y(threads) }));
    }
    if (tooMany(sample)) {
      group.append(drawn('rect', { ...place, class: 'over', y: HEIGHT + 2, height: 4 }));
    }
    svg.append(group);
  }
  svg.append(drawn('line', { class: 'axis', x1: 0, x2: WIDTH, y1: HEIGHT, y2: HEIGHT }));
  if (budget) {
    svg.append(drawn('line', { class: 'budget', x1: 0, x2: WIDTH, y1: y(budget), y2: y(budget) }));
    svg.append(drawn('text', { x: WIDTH + 5, y: y(budget) + 4 }, counted(budget, 'CPU')));
  }
  svg.append(drawn('text', { x: 0, y: HEIGHT + 17 }, 'a minute ago'));
  svg.append(drawn('text', { x: WIDTH - 22, y: HEIGHT + 17 }, 'now'));
  return svg;
}

function swatch(kind) {
  const svg = drawn('svg', { class: 'swatch', width: 10, height: 10, viewBox: '0 0 10 10', 'aria-hidden': 'true' });
  svg.append(drawn('rect', { class: kind, width: 10, height: 10, rx: 1.5 }));
  return svg;
}

// What is between backticks is code.
function sentence(text) {
  return text.split('`').map((piece, i) => (i % 2 ? element('code', { textContent: piece }) : piece));
}

function advice(now) {
  return now.cure ? [element('p', {}, 'What to do: ', ...sentence(now.cure), '.')] : [];
}

function table(now) {
  const count = (value) => element('td', { className: 'n', textContent: value === null ? '-' : value });
  const heads = ['Threads', 'Allowed', 'Running', 'Idle', 'Spinning'].map((text, i) =>
    element('th', { scope: 'col', className: i ? 'n' : '', textContent: text }));
  return element('table', {},
    element('caption', { textContent: 'Now' }),
    element('thead', {}, element('tr', {}, ...heads)),
    element('tbody', {}, ...now.pools.map((pool) => element('tr', {},
      element('th', { scope: 'row' }, swatch(pool.kind), pool.name),
      count(pool.allowed), count(pool.running), count(pool.waiting), count(pool.spinning)))));
}

function render({ model, el }) {
  const history = [];
  const box = element('div', { className: 'corewise-live' });
  el.append(element('style', { textContent: STYLE }), box);

  function add() {
    const now = model.get('now');
    if (!now || !now.pools) return;
    history.push(now);
    while (history.length && now.time - history[0].time > MINUTE) history.shift();
    if (document.visibilityState !== 'hidden') {
      const verdict = element('p', {}, element('strong', { textContent: now.verdict }));
      box.replaceChildren(verdict, chart(history), ...advice(now), table(now));
    }
  }
  function look() {
    const hidden = document.visibilityState === 'hidden';
    model.set('hidden', hidden);
    if (!hidden) model.set('looks', model.get('looks') + 1);
    model.save_changes();
  }

  model.on('change:now', add);
  document.addEventListener('visibilitychange', look);
  const timer = setInterval(look, LOOK_MS);
  add();
  look();
  return () => {
    clearInterval(timer);
    document.removeEventListener('visibilitychange', look);
    model.off('change:now', add);
  };
}

export default { render };

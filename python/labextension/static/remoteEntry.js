// The status item of corewise: how many threads the notebook's kernel may use, of how many CPUs,
// and a dialog that limits them, also while a cell runs.
//
// Written by hand, without a bundler: JupyterLab loads this file, hands the modules that it shares
// to init(), and asks get() for the extension. All of it is guarded: where a JupyterLab differs from
// what is expected here, there is no item, one line in the console, and nothing else.
//
// The kernel is asked on its control channel, which is answered while a cell runs, by a
// comm_info_request for the target "corewise" (python/corewise/jupyter/_status.py). Every kernel
// knows that request, one without the extension says that it has no such target, and JupyterLab and
// its server count it neither as activity nor as the kernel being busy.
(() => {
  'use strict';
  const NAME = 'corewise';
  const WHILE_BUSY_MS = 1000;
  const WHILE_IDLE_MS = 5000;
  const PATIENCE_MS = 4000;
  const APIS = ['openmp', 'blas'];

  let scope = null;

  // A module that JupyterLab shares, in the version that it has loaded.
  async function shared(name) {
    const versions = Object.values(scope[name] || {});
    const chosen = versions.find((version) => version.loaded) || versions[0];
    if (!chosen) throw new Error(`JupyterLab does not share ${name}`);
    return (await chosen.get())();
  }

  // The kernel's answer, or null where it has no corewise. Rejects if it does not answer.
  function ask(kernel, content) {
    const message = {
      channel: 'control',
      header: {
        date: new Date().toISOString(), msg_id: crypto.randomUUID(), msg_type: 'comm_info_request',
        session: kernel.clientId, username: '', version: '5.3'
      },
      parent_header: {}, metadata: {}, buffers: [],
      content: { target_name: NAME, ...content }
    };
    const future = kernel.sendControlMessage(message, true);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        future.dispose();
        reject(new Error('the kernel does not answer'));
      }, PATIENCE_MS);
      future.done.then(
        (reply) => { clearTimeout(timer); resolve(reply.content.corewise || null); },
        (error) => { clearTimeout(timer); reject(error); });
    });
  }

  // Runs code in the kernel without a trace in the notebook, once the cell that runs has ended, and
  // evaluates an expression; what the expression is, as JSON, or null. Rejects if one of them fails.
  async function runQuietly(kernel, code, expression = 'None') {
    const content = {
      code, silent: true, store_history: false, allow_stdin: false, stop_on_error: false,
      user_expressions: { [NAME]: expression }
    };
    const reply = (await kernel.requestExecute(content, true).done).content;
    const value = reply.status === 'ok' ? reply.user_expressions[NAME] : reply;
    if (value.status !== 'ok') throw new Error(value.evalue || 'the kernel could not run it');
    return value.data['application/json'] || null;
  }

  const LOAD = `get_ipython().extension_manager.load_extension('${NAME}')`;
  const GOVERN = `${LOAD}\nget_ipython().run_line_magic('govern', 'on')`;
  // Of the kernel before this one, if it died just now.
  const DEATH = `__import__('${NAME}.jupyter._deaths', fromlist=['']).just_died()`;

  function kernelOf(panel) {
    const session = panel.sessionContext.session;
    const kernel = session && session.kernel;
    return kernel && kernel.connectionStatus === 'connected' ? kernel : null;
  }

  // What find() returns as soon as it is not null; null after ten seconds.
  async function soon(find) {
    for (let i = 0; i < 50; i += 1) {
      const found = find();
      if (found) return found;
      await new Promise((resolve) => { setTimeout(resolve, 200); });
    }
    return null;
  }

  // A notebook that was just opened has its kernel a moment later.
  async function kernelSoon(panel) {
    const kernel = await soon(() => kernelOf(panel));
    if (!kernel) throw new Error('the notebook has no kernel now');
    return kernel;
  }

  // A narrow toolbar folds its last items into a menu, so the widget goes before all others, which
  // come a moment after the notebook; the style shows it last.
  async function place(panel, widget) {
    await soon(() => [...panel.toolbar.names()].includes('save'));
    if (!widget.parent && !panel.isDisposed) panel.toolbar.insertItem(0, NAME, widget);
  }

  function element(tag, properties = {}, ...children) {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  }

  // With four digits, as in the live view; null: not known.
  function rounded(cpus) {
    return cpus === null ? null : +cpus.toPrecision(4);
  }

  function summary(state) {
    if (!state) return { text: 'threads: -', title: 'Click, or run %load_ext corewise in a cell, to see and limit the threads of this kernel' };
    if (state.governed && state.granted !== null) {
      const above = state.granted > state.budget ? '. It may be above the budget: each call gets at least one thread, and most teams are never cut' : '';
      return { text: `threads: ${state.granted} of ${state.budget} granted`, title: `Threads that corewise has given to the programs that share this kernel's budget${above}` };
    }
    const counts = APIS.flatMap((api) => {
      const threads = state.pools.filter((pool) => pool.api === api).map((pool) => pool.threads || 0);
      return threads.length ? [`${api} ${Math.max(...threads)}`] : [];
    });
    const what = counts.length ? counts.join(', ') : 'no pools yet';
    return { text: `threads: ${what} on ${rounded(state.budget) ?? '?'} ${state.budget === 1 ? 'CPU' : 'CPUs'}`, title: 'How many threads each pool of this kernel may use, and how many CPUs you may use' };
  }

  // A dialog with a title, these parts and a button that closes it.
  function showDialog(title, parts, buttons, onsubmit) {
    const close = element('button', { type: 'button', textContent: 'Close', onclick: () => dialog.close() });
    const form = element('form', { noValidate: true, onsubmit: (event) => { event.preventDefault(); onsubmit(); } },
      element('h2', { id: 'corewise-dialog-title', textContent: title }), ...parts, element('p', {}, ...buttons, close));
    const dialog = element('dialog', { className: 'corewise-dialog', onclose: () => dialog.remove() }, form);
    dialog.setAttribute('aria-labelledby', 'corewise-dialog-title');
    document.body.append(dialog);
    dialog.showModal();
    return dialog;
  }

  // Sentences with `code` in them.
  function sentence(head, text) {
    const pieces = text.split('`').map((piece, i) => (i % 2 ? element('code', { textContent: piece }) : piece));
    return element('p', {}, element('b', { textContent: head }), ...pieces);
  }

  // A death without a report, of a kernel that had loaded corewise or had not.
  function unreported(name, had) {
    return had ? {
      headline: `${name} died and left no report`,
      findings: [{
        what: 'The kernel ended without a signal that leaves a report',
        why: 'It ran out of memory, somebody killed it, or a library ended it by exit.',
        remedy: 'Look at the console of the Jupyter server. `%govern on` and fewer threads need less memory.'
      }]
    } : {
      headline: `${name} died; corewise was not seen in it, so the cause is not known`,
      findings: [{
        what: 'corewise was not seen in this kernel',
        why: 'A kernel leaves a report only if it has loaded corewise. On many cores OpenBLAS may have run out of room for calls; the console of the Jupyter server then says "precompiled NUM_THREADS exceeded".',
        remedy: 'Restart governed. If OpenBLAS was the cause, that prevents it; a death of another kind then leaves a report.'
      }]
    };
  }

  function governingHelps(death) {
    return death.findings.some((finding) => /govern/.test(finding.remedy));
  }

  // Why the kernel died, and how it is started again.
  function openDeath(item) {
    const { death } = item;
    const message = element('p', { role: 'status', className: 'corewise-message' });
    const again = element('button', { textContent: 'Restart governed' });
    // The title says what the first one says.
    const parts = death.findings.flatMap((finding, i) => [
      ...(i ? [sentence('', `${finding.what}.`)] : []), sentence('Why: ', finding.why), sentence('What to do: ', finding.remedy)]);
    const dialog = showDialog(`${death.headline}.`, [...parts, message], governingHelps(death) ? [again] : [], async () => {
      message.textContent = 'asking the kernel ...';
      try {
        await item.govern();
        dialog.close();
      } catch (error) {
        message.textContent = `the kernel is not governed: ${error.message}`;
      }
    });
  }

  // Where the kernel has no corewise yet.
  function openOffer(item) {
    const { panel } = item;
    const message = element('p', { role: 'status', className: 'corewise-message' });
    const load = element('button', { textContent: 'Load corewise' });
    const text = 'To see and limit the threads of this kernel, load corewise into it. A cell with `%load_ext corewise` does the same.';
    const dialog = showDialog(`Threads of ${panel.title.label}`, [sentence('', text), message], [load], async () => {
      message.textContent = 'waiting for the kernel ...';
      try {
        const kernel = await kernelSoon(panel);
        if (kernel.status === 'busy') message.textContent = 'waiting for the cell that runs ...';
        await runQuietly(kernel, LOAD);
        dialog.close();
        item.soon(0);
      } catch (error) {
        message.textContent = `corewise was not loaded: ${error.message}`;
      }
    });
  }

  // The pools, and a number for each API.
  function openDialog(item) {
    const { panel, state } = item;
    const message = element('p', { role: 'status', className: 'corewise-message' });
    const heads = ['API', 'Pool', 'Threads allowed', 'Limit set here'];
    const inputs = {};
    const rows = element('tbody');
    const show = (now) => {
      rows.replaceChildren(...now.pools.map((pool) => element('tr', {},
        element('td', { textContent: pool.api }), element('td', { textContent: pool.name }),
        element('td', { textContent: pool.threads ?? '?', className: 'corewise-count' }),
        element('td', { textContent: pool.limit ?? '-', className: 'corewise-count' }))));
    };
    // Nothing is sent where nothing, or no number, was typed: no words would end all limits.
    const limit = () => {
      const wrong = APIS.find((api) => inputs[api].validity.badInput);
      const words = APIS.filter((api) => inputs[api].value !== '').map((api) => `${api}=${inputs[api].value}`);
      if (wrong) message.textContent = `nothing was changed: type a whole number for ${wrong}`;
      else if (!words.length) message.textContent = 'nothing was changed: type a number of threads first';
      else apply(words.join(' '));
    };
    const apply = async (words) => {
      message.textContent = 'asking the kernel ...';
      try {
        const kernel = kernelOf(panel);
        if (!kernel) throw new Error('the notebook has no kernel now');
        const answer = await ask(kernel, { limits: words });
        if (answer && !answer.error) {
          show(answer);
          item.update(answer);
        }
        message.textContent = answer ? answer.error || answer.said : 'corewise is no longer loaded in this kernel';
      } catch (error) {
        message.textContent = `nothing was changed: ${error.message}`;
      }
    };
    // The kernel judges the numbers, and says more than a browser would.
    const parts = [
      element('table', {},
        element('caption', { textContent: `Your budget: ${state.budget ? `${rounded(state.budget)} ${state.governed ? 'threads at a time; the kernel is governed' : state.budget === 1 ? 'CPU' : 'CPUs'}` : 'unknown'}.` }),
        element('thead', {}, element('tr', {}, ...heads.map(
          (text, i) => element('th', { scope: 'col', textContent: text, className: i > 1 ? 'corewise-count' : '' })))), rows),
      element('p', {}, ...APIS.map((api) => {
        inputs[api] = element('input', { type: 'number', min: 1, max: 32768, name: api });
        return element('label', {}, `${api} `, inputs[api]);
      }), element('button', { textContent: 'Limit' }), element('button', { type: 'button', textContent: 'Undo', title: 'End the limits that were set here or by corewise limit', onclick: () => {
        APIS.forEach((api) => { inputs[api].value = ''; });
        apply('');
      } })),
      message];
    show(state);
    showDialog(`Threads of ${panel.title.label}`, parts, [], limit);
  }

  const STYLE = `
    .corewise-item, .corewise-act { cursor: pointer; border: 0; background: none; color: inherit; font: inherit; padding: 0 6px; height: 100%;
      max-width: 60vw; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
    .corewise-status { display: flex; align-items: stretch; height: 100%; }
    .corewise-act { text-decoration: underline; flex: none; }
    .jp-Toolbar .corewise-status { order: 1; }
    @media (max-width: 700px) { .jp-Toolbar .corewise-item { max-width: 50vw; }
      .corewise-status:has(.corewise-act:not([hidden])) .corewise-item { max-width: 10vw; } }
    .corewise-item:hover { text-decoration: underline; }
    .corewise-item.corewise-over { color: #a84300; font-weight: bold; }
    [data-jp-theme-light="false"] .corewise-item.corewise-over { color: #ffb74d; }
    .corewise-dialog { color: var(--jp-ui-font-color1); background: var(--jp-layout-color1);
      border: 1px solid var(--jp-border-color1); border-radius: 4px; font-family: var(--jp-ui-font-family);
      font-size: var(--jp-ui-font-size1); max-width: 46em; }
    .corewise-dialog::backdrop { background: rgba(0, 0, 0, .3); }
    .corewise-dialog h2 { font-size: 1.2em; margin: 0 0 .5em; overflow-wrap: anywhere; }
    .corewise-dialog table { border-collapse: collapse; }
    .corewise-dialog caption { text-align: left; }
    .corewise-dialog th, .corewise-dialog td { text-align: left; padding: .2em 1em .2em 0; border-bottom: 1px solid var(--jp-border-color2); }
    .corewise-dialog td:nth-child(2) { overflow-wrap: anywhere; }
    .corewise-dialog .corewise-count { text-align: right; }
    .corewise-dialog input { width: 5em; margin-right: 1em; }
    .corewise-dialog input, .corewise-dialog button { color: inherit; background: var(--jp-layout-color2);
      border: 1px solid var(--jp-border-color1); border-radius: 2px; padding: .2em .7em; margin-right: .6em; font: inherit; }
    .corewise-message { min-height: 1.4em; white-space: pre-line; }`;

  // One item for the bar; it follows the notebook that is in front.
  class Item {
    constructor() {
      this.panel = null;
      this.state = null;
      this.known = new WeakSet(); // panels whose kernel had corewise
      this.lost = new WeakSet(); // panels whose kernel died; why is not asked yet
      this.deaths = new WeakMap();
      this.reports = new WeakMap(); // panels, and the last report of theirs that was read
      this.timer = 0;
      this.asking = false;
      this.button = element('button', { type: 'button', className: 'corewise-item', onclick: () => this.click() });
      this.button.setAttribute('aria-haspopup', 'dialog');
      this.why = element('button', { type: 'button', className: 'corewise-act', textContent: 'Why?', onclick: () => this.click() });
      this.again = element('button', { type: 'button', className: 'corewise-act', textContent: 'Restart governed', onclick: () => this.click(true) });
      this.node = element('div', { className: 'corewise-status' }, this.button, this.why, this.again);
      document.addEventListener('visibilitychange', () => this.soon(0));
    }

    // A kernel may die while another notebook is in front.
    watch(panel) {
      panel.sessionContext.statusChanged.connect((_, status) => this.changed(panel, status));
      panel.disposed.connect(() => this.panel === panel && this.follow(null));
    }

    follow(panel) {
      this.panel = panel;
      this.update(null);
      if (panel) this.soon(0);
    }

    get death() {
      return (this.panel && this.deaths.get(this.panel)) || null;
    }

    changed(panel, status) {
      if (status === 'restarting') { // somebody asked for it, or JupyterLab says 'autorestarting' next
        this.lost.delete(panel);
        this.deaths.delete(panel);
      }
      if (status === 'autorestarting') this.lost.add(panel);
      if (panel !== this.panel) return;
      if (['restarting', 'autorestarting', 'starting', 'dead', 'terminating'].includes(status)) this.update(null);
      else this.soon(50);
    }

    // Asked once, as soon as the kernel that came after answers.
    async learnOfDeath(panel, kernel) {
      this.lost.delete(panel);
      const had = this.known.has(panel);
      let death = null;
      let has = had;
      try {
        death = await runQuietly(kernel, '', DEATH);
        has = true;
        // A kernel that left no report: this one is of a kernel that died before it.
        if (death && death.report === this.reports.get(panel)) death = null;
        else if (death) this.reports.set(panel, death.report);
      } catch (error) {
        // This kernel's Python has no corewise.
      }
      if (!death && has) death = unreported(panel.title.label, had);
      this.known.delete(panel);
      if (death) this.deaths.set(panel, death);
    }

    // The kernel that came after the one that died.
    async govern() {
      const panel = this.panel;
      const kernel = panel && panel.sessionContext.session && panel.sessionContext.session.kernel;
      if (!kernel) throw new Error('the notebook has no kernel now');
      if (kernel.status === 'dead') await kernel.restart();
      await runQuietly(kernel, GOVERN);
      this.deaths.delete(panel);
      this.soon(0);
    }

    soon(ms) {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.poll(), ms);
    }

    // Asks as long as somebody looks: hidden pages and notebooks without a kernel cost nothing.
    async poll() {
      const panel = this.panel;
      const kernel = panel && kernelOf(panel);
      if (!panel || document.visibilityState === 'hidden' || this.asking) return;
      if (kernel && (await isPython(kernel))) {
        this.asking = true;
        try {
          const state = await ask(kernel, {});
          if (state) {
            this.known.add(panel);
            this.lost.delete(panel);
            this.deaths.delete(panel);
          } else if (this.lost.has(panel)) {
            await this.learnOfDeath(panel, kernel);
          } else {
            this.known.delete(panel);
          }
          if (panel === this.panel) this.update(state);
        } catch (error) {
          if (panel === this.panel) this.button.title = String(error.message);
        } finally {
          this.asking = false;
        }
      }
      this.soon(kernel && kernel.status === 'busy' ? WHILE_BUSY_MS : WHILE_IDLE_MS);
    }

    update(state) {
      this.state = state;
      const death = state ? null : this.death;
      const { text, title } = death ? { text: death.headline, title: death.headline } : summary(state);
      this.why.hidden = !death;
      this.again.hidden = !death || !governingHelps(death);
      this.button.hidden = !this.panel;
      this.button.textContent = text;
      this.button.title = title + (state && state.shared ? '. Another notebook or console uses this kernel too.' : '');
      // Of 1.5 CPUs, 2 threads can use all.
      const over = !!state && !state.governed && state.pools.some((pool) => (pool.threads || 0) > Math.ceil(state.budget ?? Infinity));
      this.button.classList.toggle('corewise-over', over || !!death);
      if (over) {
        // First, because a narrow window cuts off the end.
        this.button.textContent = `too many ${text}`;
        this.button.title += '. More threads than CPUs: they wait for one another.';
      }
    }

    async click(again = false) {
      if (this.state) {
        openDialog(this);
      } else if (this.death && again) {
        this.again.disabled = true;
        await this.govern().catch(() => openDeath(this));
        this.again.disabled = false;
      } else if (this.death) {
        openDeath(this);
      } else if (this.panel) {
        openOffer(this);
      }
    }
  }

  async function isPython(kernel) {
    const info = await kernel.info;
    return info && info.language_info && info.language_info.name === 'python';
  }

  async function extension() {
    const [notebook, widgets] = await Promise.all(['@jupyterlab/notebook', '@lumino/widgets'].map(shared));
    // Notebook 7 has no status bar; there the item is in the notebook's toolbar.
    const statusbar = await shared('@jupyterlab/statusbar').catch(() => null);
    return {
      id: `${NAME}:status`,
      description: 'Threads of the kernel in the status bar.',
      autoStart: true,
      requires: [notebook.INotebookTracker],
      optional: statusbar ? [statusbar.IStatusBar] : [],
      activate: (_, tracker, bar) => {
        document.head.append(element('style', { textContent: STYLE }));
        const item = new Item();
        const widget = new widgets.Widget({ node: item.node });
        if (bar) {
          // JupyterLab takes items without a priority out of a narrow window.
          bar.registerStatusItem(`${NAME}:status`, { item: widget, align: 'left', rank: 100, priority: 1 });
        } else { // one notebook a page
          tracker.widgetAdded.connect((__, panel) => place(panel, widget));
          if (tracker.currentWidget) place(tracker.currentWidget, widget);
        }
        tracker.forEach((panel) => item.watch(panel));
        tracker.widgetAdded.connect((__, panel) => item.watch(panel));
        tracker.currentChanged.connect((__, panel) => item.follow(panel));
        item.follow(tracker.currentWidget);
      }
    };
  }

  window._JUPYTERLAB = window._JUPYTERLAB || {};
  window._JUPYTERLAB[NAME] = {
    init: async (given) => { scope = given; },
    get: async (name) => {
      let plugins = [];
      try {
        if (name === './extension') plugins = [await extension()];
      } catch (error) {
        console.warn(`corewise: no status item in this JupyterLab: ${error.message}`);
      }
      return () => ({ __esModule: true, default: plugins });
    }
  };
})();

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

  function kernelOf(panel) {
    const session = panel.sessionContext.session;
    const kernel = session && session.kernel;
    return kernel && kernel.connectionStatus === 'connected' ? kernel : null;
  }

  function element(tag, properties = {}, ...children) {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  }

  function summary(state) {
    if (!state) return { text: 'threads: -', title: 'Run %load_ext corewise in a cell to see and limit the threads of this kernel' };
    if (state.governed && state.granted !== null) {
      const above = state.granted > state.budget ? '. It may be above the budget: each call gets at least one thread, and most teams are never cut' : '';
      return { text: `threads: ${state.granted} of ${state.budget} granted`, title: `Threads that are granted now to the programs that share the budget of this kernel${above}` };
    }
    const counts = APIS.flatMap((api) => {
      const threads = state.pools.filter((pool) => pool.api === api).map((pool) => pool.threads || 0);
      return threads.length ? [`${api} ${Math.max(...threads)}`] : [];
    });
    const what = counts.length ? counts.join(', ') : 'no pools yet';
    return { text: `threads: ${what} on ${state.budget ?? '?'} CPUs`, title: 'Threads that each pool of this kernel may use, and the CPUs that are really its own' };
  }

  // The dialog: the pools, and a number for each API.
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
        message.textContent = answer ? answer.error || answer.said : 'the kernel has no %load_ext corewise any more';
      } catch (error) {
        message.textContent = `nothing was changed: ${error.message}`;
      }
    };
    const close = element('button', { type: 'button', textContent: 'Close', onclick: () => dialog.close() });
    // The kernel judges the numbers, and says more than a browser would.
    const form = element('form', { noValidate: true, onsubmit: (event) => { event.preventDefault(); limit(); } },
      element('h2', { id: 'corewise-dialog-title', textContent: `Threads of ${panel.title.label}` }),
      element('table', {},
        element('caption', { textContent: `The budget is ${state.budget ?? 'unknown'}${state.governed ? '; the kernel is governed' : ''}.` }),
        element('thead', {}, element('tr', {}, ...heads.map(
          (text) => element('th', { scope: 'col', textContent: text })))), rows),
      element('p', {}, ...APIS.map((api) => {
        inputs[api] = element('input', { type: 'number', min: 1, max: 32768, name: api });
        return element('label', {}, `${api} `, inputs[api]);
      }), element('button', { textContent: 'Limit' }), element('button', { type: 'button', textContent: 'Undo', title: 'End the limits that were set here or by corewise limit', onclick: () => {
        APIS.forEach((api) => { inputs[api].value = ''; });
        apply('');
      } })),
      message, element('p', {}, close));
    const dialog = element('dialog', { className: 'corewise-dialog', onclose: () => dialog.remove() }, form);
    dialog.setAttribute('aria-labelledby', 'corewise-dialog-title');
    show(state);
    document.body.append(dialog);
    dialog.showModal();
  }

  const STYLE = `
    .corewise-item { cursor: pointer; border: 0; background: none; color: inherit; font: inherit; padding: 0 6px; height: 100%;
      max-width: 60vw; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
    .corewise-item:hover { text-decoration: underline; }
    .corewise-item.corewise-over { color: #a84300; font-weight: bold; }
    [data-jp-theme-light="false"] .corewise-item.corewise-over { color: #ffb74d; }
    .corewise-dialog { color: var(--jp-ui-font-color1); background: var(--jp-layout-color1);
      border: 1px solid var(--jp-border-color1); border-radius: 4px; font-family: var(--jp-ui-font-family);
      font-size: var(--jp-ui-font-size1); max-width: 46em; }
    .corewise-dialog::backdrop { background: rgba(0, 0, 0, .3); }
    .corewise-dialog h2 { font-size: 1.2em; margin: 0 0 .5em; }
    .corewise-dialog table { border-collapse: collapse; }
    .corewise-dialog caption { text-align: left; }
    .corewise-dialog th, .corewise-dialog td { text-align: left; padding: .2em 1em .2em 0; border-bottom: 1px solid var(--jp-border-color2); }
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
      this.timer = 0;
      this.asking = false;
      this.button = element('button', { type: 'button', className: 'corewise-item', onclick: () => this.click() });
      this.button.setAttribute('aria-haspopup', 'dialog');
      document.addEventListener('visibilitychange', () => this.soon(0));
    }

    follow(panel) {
      if (this.panel) {
        this.panel.sessionContext.statusChanged.disconnect(this.changed, this);
        this.panel.disposed.disconnect(this.closed, this);
      }
      this.panel = panel;
      this.update(null);
      if (panel) {
        panel.sessionContext.statusChanged.connect(this.changed, this);
        panel.disposed.connect(this.closed, this);
        this.soon(0);
      }
    }

    closed() {
      this.panel = null;
      this.update(null);
    }

    changed(_, status) {
      if (['restarting', 'autorestarting', 'starting', 'dead', 'terminating'].includes(status)) this.update(null);
      else this.soon(50);
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
      const { text, title } = summary(state);
      this.button.hidden = !this.panel;
      this.button.textContent = text;
      this.button.title = title + (state && state.shared ? '. Another notebook or console uses this kernel too.' : '');
      const over = !!state && !state.governed && state.pools.some((pool) => (pool.threads || 0) > (state.budget ?? Infinity));
      this.button.classList.toggle('corewise-over', over);
      if (over) {
        this.button.textContent += ': too many';
        this.button.title += '. More threads than CPUs: they wait for one another.';
      }
    }

    click() {
      if (this.state) openDialog(this);
      else this.soon(0);
    }
  }

  async function isPython(kernel) {
    const info = await kernel.info;
    return info && info.language_info && info.language_info.name === 'python';
  }

  async function extension() {
    const [notebook, statusbar, widgets] = await Promise.all(
      ['@jupyterlab/notebook', '@jupyterlab/statusbar', '@lumino/widgets'].map(shared));
    return {
      id: `${NAME}:status`,
      description: 'Threads of the kernel in the status bar.',
      autoStart: true,
      requires: [notebook.INotebookTracker],
      optional: [statusbar.IStatusBar],
      activate: (_, tracker, bar) => {
        if (!bar) return;
        document.head.append(element('style', { textContent: STYLE }));
        const item = new Item();
        const node = element('div', {}, item.button);
        // JupyterLab takes items without a priority out of a narrow window.
        bar.registerStatusItem(`${NAME}:status`, { item: new widgets.Widget({ node }), align: 'left', rank: 100, priority: 1 });
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

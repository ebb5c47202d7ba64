// Keeps an open page up to date. Every page is complete without it.

const EVERY_MS = 5_000;
const AT_MOST_MS = 60_000;

// Calls `look` again and again while the page is seen; more and more rarely while it fails, and not any more once
// it answers false.
function watch(every, look) {
  let timer;
  let wait = every;
  let over = false;
  async function turn() {
    clearTimeout(timer);
    if (over || document.hidden) return;
    try {
      over = (await look()) === false;
      wait = every;
    } catch {
      wait = Math.min(wait * 2, AT_MOST_MS);
    }
    clearTimeout(timer);
    if (!over) timer = setTimeout(turn, wait);
  }
  document.addEventListener('visibilitychange', turn);
  timer = setTimeout(turn, every);
}

// The answer; null if it won't get better by asking again (signed out, not ours).
async function get(url, accept) {
  const answer = await fetch(url, { headers: { accept }, cache: 'no-store' });
  if (answer.status >= 401 && answer.status <= 404) return null;
  if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
  return answer;
}

// The balance: when it isn't what the page shows, the regions marked data-live are taken from a new copy of the page,
// so that everything is written by the server alone.
function watchBalance() {
  let tried;
  watch(EVERY_MS, async () => {
    const answer = await get('/v1/balance', 'application/json');
    if (!answer) return false;
    const { available, held } = await answer.json();
    const { dataset: shown } = document.querySelector('#balance [data-available]') ?? { dataset: {} };
    const now = `${available} ${held}`;
    if (now === `${shown.available} ${shown.held}` || now === tried) return;
    const page = await get(location.pathname, 'text/html');
    if (!page) return false;
    const copy = new DOMParser().parseFromString(await page.text(), 'text/html');
    for (const region of document.querySelectorAll('[data-live]')) {
      const fresh = copy.getElementById(region.id);
      if (fresh) region.replaceChildren(...fresh.childNodes);
    }
    tried = now;
  });
}

// A purchase on its way: when its state isn't the page's any more, the page is loaded again; also after a while, in
// case that it was the server that had something new to say.
function watchPurchase({ purchase, state }) {
  const since = Date.now();
  watch(1_000, async () => {
    const answer = await get(`/v1/purchases/${purchase}`, 'application/json');
    if (!answer) return false;
    if ((await answer.json()).state === state && Date.now() - since < 15_000) return;
    location.reload();
    return false;
  });
}

// What a custom amount costs, while it is typed.
function tellTotal(output) {
  const input = document.getElementById(output.htmlFor.value);
  const { minor, currency, decimals } = output.dataset;
  const price = new Intl.NumberFormat('en-US', {
    style: 'currency',
    currency,
    minimumFractionDigits: decimals,
    maximumFractionDigits: decimals,
  });
  const tell = () => {
    const told = input.value !== '' && input.validity.valid;
    output.textContent = told ? price.format((input.value * minor) / 10 ** decimals) : '';
  };
  input.addEventListener('input', tell);
  tell();
}

const output = document.querySelector('output[data-minor]');
if (output) tellTotal(output);
const onItsWay = document.querySelector('[data-purchase]');
if (onItsWay) watchPurchase(onItsWay.dataset);
if (document.querySelector('#balance [data-available]')) watchBalance();

// A little confetti, once for each purchase, for those who like things to move.

const COLOURS = ['#0b6b55', '#3fb795', '#f2b33d', '#e9795d', '#5b8def'];
const PIECES = 90;
const LASTS_MS = 2_600;

function celebrate() {
  const canvas = document.createElement('canvas');
  canvas.className = 'confetti';
  canvas.setAttribute('aria-hidden', 'true');
  document.body.append(canvas);
  const width = innerWidth;
  const height = innerHeight;
  const scale = Math.min(devicePixelRatio, 2);
  canvas.width = width * scale;
  canvas.height = height * scale;
  const drawing = canvas.getContext('2d');
  const between = (low, high) => low + Math.random() * (high - low);
  const source = document.querySelector('.mark').getBoundingClientRect();
  const pieces = Array.from({ length: PIECES }, () => ({
    x: source.x + source.width / 2,
    y: source.y + source.height / 2,
    dx: between(-1, 1) * Math.min(width, 900) * 0.5,
    dy: between(-760, -120),
    turn: between(0, 6),
    spin: between(-7, 7),
    size: between(5, 9),
    colour: COLOURS[Math.floor(Math.random() * COLOURS.length)],
  }));
  let began;
  let last;
  requestAnimationFrame(function frame(now) {
    began ??= now;
    const seconds = Math.min((now - (last ?? now)) / 1000, 0.05);
    last = now;
    const age = (now - began) / LASTS_MS;
    if (age >= 1) return canvas.remove();
    drawing.setTransform(scale, 0, 0, scale, 0, 0);
    drawing.clearRect(0, 0, width, height);
    drawing.globalAlpha = Math.min(1, (1 - age) * 2.5);
    for (const piece of pieces) {
      piece.dy += 900 * seconds;
      piece.dx *= 1 - 1.1 * seconds;
      piece.x += piece.dx * seconds;
      piece.y += piece.dy * seconds;
      piece.turn += piece.spin * seconds;
      drawing.setTransform(scale, 0, 0, scale, piece.x * scale, piece.y * scale);
      drawing.rotate(piece.turn);
      drawing.fillStyle = piece.colour;
      drawing.fillRect(-piece.size / 2, -piece.size / 4, piece.size, (piece.size / 2) * Math.abs(Math.cos(piece.turn * 1.7)) + 1);
    }
    requestAnimationFrame(frame);
  });
}

const purchase = document.querySelector('[data-celebrate]')?.dataset.celebrate;
const still = matchMedia('(prefers-reduced-motion: reduce)').matches;
if (purchase && !still) {
  const key = `celebrated ${purchase}`;
  let before = false;
  try {
    before = sessionStorage.getItem(key) !== null;
    sessionStorage.setItem(key, '');
  } catch {
    // Without storage a reload celebrates again, which does no harm.
  }
  if (!before) celebrate();
}

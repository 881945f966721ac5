"""How long a step of the toy demo takes in a browser: `python tests/step_time.py`.

From the press of Step to the new status line, and to the frame that shows all of it, in
milliseconds; through Voila, in a Chromium that draws without a GPU.
"""

import statistics
import tempfile
from pathlib import Path

import browser
from demo_page import voila

STEPS = 10
PRESS = """() => new Promise(done => {
  const lines = [...document.querySelectorAll('[role=status]')];
  const line = lines.find(line => line.textContent.startsWith('Step'));
  const buttons = [...document.querySelectorAll('button')];
  const start = performance.now();
  const seen = new MutationObserver(() => {
    seen.disconnect();
    const said = performance.now() - start;
    // A message that is posted before a frame is drawn comes once it is on the screen.
    const drawn = new MessageChannel();
    drawn.port1.onmessage = () => done([said, performance.now() - start]);
    requestAnimationFrame(() => drawn.port2.postMessage(0));
  });
  seen.observe(line, { childList: true, characterData: true, subtree: true });
  buttons.find(button => button.textContent.trim() === 'Step').click();
})"""


def main() -> None:
    """Print the median of some steps."""
    times = []
    with (
        voila(Path(tempfile.mkdtemp()), "light") as address,
        browser.chromium() as page,
    ):
        page.goto(address)
        page.locator(".scatterlayer .point").first.wait_for()
        for _ in range(STEPS):
            page.wait_for_timeout(1500)
            times.append(page.evaluate(PRESS))
    said, drawn = (statistics.median(column) for column in zip(*times, strict=True))
    print(f"median of {STEPS} steps: {said:.0f} ms to the status line, {drawn:.0f} ms to the frame")


if __name__ == "__main__":
    main()

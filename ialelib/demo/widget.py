"""The toy demo as a widget for JupyterLab and Voila: Figure 1 to play with."""

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from ialelib import policy
from ialelib.demo import figure
from ialelib.demo.session import SIDES, STRATEGIES, Demo, check_overlap
from ialelib.plots.style import NAMES
from ialelib.utils.errors import InputError, unknown
from ialelib.utils.extras import extra

with extra("demo"):
    import anywidget
    import ipywidgets
    import traitlets
    from plotly.offline import get_plotlyjs

HERE = Path(__file__).parent
SEED_DIGITS = 18
PAUSE = 0.4  # seconds between two steps while it plays
CLAIM = """The paper claims that a policy which imitates Entropy and CoreSet chooses diverse points,
and especially those along the decision boundary, and is more accurate than either alone: press
<i>Play</i>, and watch where each side's newest batch falls and whose mean accuracy is higher."""


class Line(anywidget.AnyWidget):
    """A line of text that screen readers speak whenever it changes.

    `role` is "status", or "alert" for what went wrong.
    """

    _esm = HERE / "line.js"
    value = traitlets.Unicode("").tag(sync=True)
    role = traitlets.Unicode("status").tag(sync=True)


class Plots(anywidget.AnyWidget):
    """The plots that `figure.plots` describes; Plotly's library is loaded once for all of them.

    `label` is what screen readers say of them. A click on a point sends its `point` and `side`.
    """

    _esm = get_plotlyjs() + (HERE / "plots.js").read_text()
    _css = HERE / "demo.css"
    plots: traitlets.List[dict[str, str]] = traitlets.List().tag(sync=True)
    label = traitlets.Unicode().tag(sync=True)


class ToyDemo(ipywidgets.VBox):  # type: ignore[misc]
    """Two strategies side by side on two Gaussians, with all controls; see `demo.Demo`.

    `policy_name` is of a shipped policy or a file; it stays the same for every overlap.

    Raises:
        InputError: arguments that cannot be shown. What readers enter later only gives a message.
    """

    def __init__(
        self,
        left: str = "entropy",
        right: str = "policy",
        overlap: float = 0.2,
        acq: int = 10,
        n: int = 100,
        seed: int = 0,
        samples: int = 300,
        initial: int = 20,
        policy_name: str = "toy",
    ) -> None:
        for name in (left, right):
            if name not in STRATEGIES:
                raise unknown("strategy", name, STRATEGIES)
        scorer = policy.load_network(policy_name)
        self._start = partial(Demo, policy=scorer, samples=samples, initial=initial)
        self.demo = self._start([left, right], overlap=overlap, seed=seed)
        self._playing: asyncio.Task[None] | None = None
        self._asks = False
        # JupyterLab has what readers press handled in another thread than what plays.
        self._lock = threading.RLock()
        self._make_controls(left, right, overlap, acq, n, seed)
        self.message, self.status, self.where = Line(role="alert"), Line(), Line()
        self.plots = Plots()
        self._connect()
        settings = [self.left, self.right, self.overlap, self.seed, self.acq, self.n]
        buttons = [self.step, self.play, self.reset, self.own]
        super().__init__(
            [
                ipywidgets.HTML(CLAIM),
                _row("controls", *settings, *buttons),
                _row("answer", self.message, self.anew, self.keep),
                ipywidgets.HTML(figure.legend()),
                self.plots,
                _row("point", self.side, self.point, self.add, self.where),
                self.status,
            ]
        )
        self.add_class("ialelib-demo")
        self._show()

    def _make_controls(
        self, left: str, right: str, overlap: float, acq: int, n: int, seed: int
    ) -> None:
        names = [(NAMES[name], name) for name in STRATEGIES]
        self.left = _control(ipywidgets.Dropdown, "Left strategy", options=names, value=left)
        self.right = _control(ipywidgets.Dropdown, "Right strategy", options=names, value=right)
        about = "Overlap of the two Gaussians"
        span = {"min": 0, "max": 1, "step": 0.05, "continuous_update": False}
        self.overlap = _control(ipywidgets.FloatSlider, "Overlap", about, value=overlap, **span)
        about = "Of points, initial labels, weights and sub-pools; press Enter"
        late = {"value": str(seed), "continuous_update": False}
        self.seed = _control(ipywidgets.Text, "Seed", about, **late)
        about = "Labels that each side adds in a step"
        self.acq = _control(ipywidgets.IntText, "Acquisition size", about, value=acq)
        about = "Random points that each batch is chosen from"
        self.n = _control(ipywidgets.IntText, "Sub-pool n", about, value=n)
        about = "Both sides choose and label one batch"
        self.step = _control(ipywidgets.Button, "Step", about)
        about = "One step after the other, until pressed again"
        self.play = _control(ipywidgets.ToggleButton, "Play", about)
        self.reset = _control(ipywidgets.Button, "Reset", "Back to the initial labels")
        self.own = _control(ipywidgets.ToggleButton, "Your point", "Choose and label a point")
        self.anew = _control(ipywidgets.Button, "Start anew", "Lose those labels")
        self.keep = _control(ipywidgets.Button, "Keep labels", "Go on as before")
        sides = [(side, i) for i, side in enumerate(SIDES)]
        self.side = _control(ipywidgets.Dropdown, "Panel", options=sides)
        about = "Index of a point; it is ringed in both panels"
        self.point = _control(ipywidgets.IntText, "Point", about, value=0)
        about = "Label the ringed point in that panel"
        self.add = _control(ipywidgets.Button, "Label this point", about)

    def _connect(self) -> None:
        for control in (self.left, self.right, self.overlap, self.seed):
            control.observe(lambda change: self._try(self._changed), "value")
        self.step.on_click(lambda button: self._try(self._step))
        self.reset.on_click(lambda button: self._try(self._restart))
        self.anew.on_click(lambda button: self._try(self._start_anew))
        self.keep.on_click(lambda button: self._try(self._go_back))
        self.play.observe(self._play, "value")
        for control in (self.own, self.point):
            control.observe(lambda change: self._try(self._check_start), "value")
        self.add.on_click(lambda button: self._try(self._label, self.point.value, self.side.value))
        self.plots.on_msg(self._clicked)

    def _try(self, action: Callable[..., None], *arguments: Any) -> bool:
        """Do it; what cannot be done is said in the message line, and leaves all as it was."""
        with self._lock:
            failed = _failure(action, *arguments)
            self.message.value = failed or _failure(self._check_start)
            self._show()
            return not failed

    def _check_start(self) -> None:
        """Raises InputError while a question is open, or a control that restarts is wrong."""
        self._wanted()
        if self._asks:
            given = f"{self.demo.by_hand} label{'s' * (self.demo.by_hand > 1)}"
            raise InputError(f"starting anew loses {given} given by hand")

    def _wanted(self) -> tuple[list[str], float, int]:
        """Strategies, overlap and seed by the controls."""
        check_overlap(self.overlap.value)
        return [self.left.value, self.right.value], self.overlap.value, self._seed()

    def _shown(self) -> tuple[list[str], float, int]:
        demo = self.demo
        return [panel.strategy for panel in demo.panels], demo.overlap, demo.seed

    def _changed(self) -> None:
        """Start anew, unless the controls are back at what is shown."""
        if self._wanted() == self._shown():
            self._asks = False
        else:
            self._restart()

    def _restart(self) -> None:
        """Start anew, but ask first where labels given by hand would be lost."""
        self.play.value = False
        self._asks = self.demo.by_hand > 0
        if not self._asks:
            self._start_anew()

    def _start_anew(self) -> None:
        names, overlap, seed = self._wanted()
        self.demo = self._start(names, overlap=overlap, seed=seed)
        self._asks = False

    def _go_back(self) -> None:
        """Set the controls to what is shown; the last one to change ends the question."""
        (self.left.value, self.right.value), self.overlap.value, seed = self._shown()
        self.seed.value, self._asks = str(seed), False

    def _step(self) -> None:
        self._check_start()
        self.demo.step(self.acq.value, self.n.value)

    def _label(self, point: int, side: int) -> None:
        self.demo.label(point, side)

    def _seed(self) -> int:
        text = self.seed.value.strip()
        if not text.isdecimal() or len(text) > SEED_DIGITS:
            raise InputError(f"the seed must be a whole number from 0, not {text!r}")
        return int(text)

    def _clicked(self, plots: Plots, content: dict[str, int], buffers: Any) -> None:
        self.side.value, self.point.value, self.own.value = content["side"], content["point"], True
        self._try(self._label, content["point"], content["side"])

    def _play(self, change: Any) -> None:
        with self._lock:
            self.play.description = "Pause" if change["new"] else "Play"
            if change["new"]:
                self._playing = asyncio.get_running_loop().create_task(self._run())
            elif self._playing:
                self._playing.get_loop().call_soon_threadsafe(self._playing.cancel)

    async def _run(self) -> None:
        while self._goes_on():
            await asyncio.sleep(PAUSE)
        self.play.value = False

    def _goes_on(self) -> bool:
        with self._lock:
            return self.play.value and self._try(self._step)

    def _show(self) -> None:
        self.plots.label = self.status.value = self.demo.describe()
        self.plots.plots = figure.plots(self.demo, self.point.value if self.own.value else None)
        self.where.value = self.demo.where(self.point.value)
        marks = {"asks": self._asks, "by-hand": self.demo.by_hand, "own": self.own.value}
        for mark, on in marks.items():
            (self.add_class if on else self.remove_class)(f"ialelib-{mark}")


def _failure(action: Callable[..., None], *arguments: Any) -> str:
    """Do it; what the input was wrong in, as a sentence, or nothing."""
    try:
        action(*arguments)
    except InputError as error:
        return f"{str(error)[0].upper()}{str(error)[1:]}."
    return ""


def _row(kind: str, *parts: Any) -> ipywidgets.HBox:
    return ipywidgets.HBox(parts).add_class(f"ialelib-{kind}")


def _control(kind: Any, description: str, tooltip: str = "", **options: Any) -> Any:
    return kind(description=description, tooltip=tooltip or description, **options)


toy_demo = ToyDemo  # as notebooks call it

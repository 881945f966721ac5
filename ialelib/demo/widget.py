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

HERE = Path(__file__).parent
SEED_DIGITS = 18
PAUSE = 0.4  # seconds between two steps while it plays


class Line(anywidget.AnyWidget):
    """A line of text that screen readers speak whenever it changes.

    `role` is "status", or "alert" for what went wrong.
    """

    _esm = HERE / "line.js"
    value = traitlets.Unicode("").tag(sync=True)
    role = traitlets.Unicode("status").tag(sync=True)


class Fit(anywidget.AnyWidget):
    """Keeps Plotly's figure as wide as the box of class `around`, and brings the style of all.

    `label` is what screen readers say of the figure.
    """

    _esm = HERE / "fit.js"
    _css = HERE / "demo.css"
    around = traitlets.Unicode().tag(sync=True)
    label = traitlets.Unicode().tag(sync=True)


class ToyDemo(ipywidgets.VBox):  # type: ignore[misc]
    """Two strategies side by side on two Gaussians, with all controls; see `demo.Demo`.

    `policy_name` is of a shipped policy or a file; it stays the same for every overlap.

    Raises:
        InputError: arguments that cannot be shown. What readers enter later only gives a message.
    """

    def __init__(
        self,
        left: str = "random",
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
        # JupyterLab has what readers press handled in another thread than what plays.
        self._lock = threading.RLock()
        self._make_controls(left, right, overlap, acq, n, seed)
        self.message, self.status, self.where = Line(role="alert"), Line(), Line()
        self.figure, self.fit = figure.build(self.demo), Fit(around="ialelib-demo")
        self._connect()
        super().__init__(
            [
                _row(self.left, self.right, self.overlap, self.seed),
                _row(self.acq, self.n, self.step, self.play, self.reset),
                self.message,
                self.figure,
                self.fit,
                _row(self.side, self.point, self.add, self.where),
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
        self.overlap = _control(
            ipywidgets.FloatSlider, "Overlap", about, "270px", value=overlap, **span
        )
        about = "Of points, initial labels, weights and sub-pools; press Enter"
        late = {"value": str(seed), "continuous_update": False}
        self.seed = _control(ipywidgets.Text, "Seed", about, "120px", **late)
        about = "Labels that each side adds in a step"
        self.acq = _control(ipywidgets.IntText, "Acquisition size", about, "170px", value=acq)
        about = "Random points that each batch is chosen from"
        self.n = _control(ipywidgets.IntText, "Sub-pool n", about, "170px", value=n)
        about = "Both sides choose and label one batch"
        self.step = _control(ipywidgets.Button, "Step", about)
        about = "One step after the other, until pressed again"
        self.play = _control(ipywidgets.ToggleButton, "Play", about, "90px")
        self.reset = _control(ipywidgets.Button, "Reset", "Back to the initial labels")
        sides = [(side, i) for i, side in enumerate(SIDES)]
        self.side = _control(ipywidgets.Dropdown, "Panel", options=sides)
        about = "Index of a point; it is ringed in both panels"
        self.point = _control(ipywidgets.IntText, "Point", about, "120px", value=0)
        about = "Label the ringed point in that panel"
        self.add = _control(ipywidgets.Button, "Label this point", about)

    def _connect(self) -> None:
        for control in (self.left, self.right, self.overlap, self.seed):
            control.observe(lambda change: self._try(self._restart), "value")
        self.step.on_click(lambda button: self._try(self._step))
        self.reset.on_click(lambda button: self._try(self._restart))
        self.play.observe(self._play, "value")
        self.point.observe(lambda change: self._try(self._check_start), "value")
        self.add.on_click(lambda button: self._try(self._label, self.point.value, self.side.value))
        for side in range(len(SIDES)):
            for name in figure.CLICKABLE:
                figure.trace(self.figure, name, side).on_click(self._clicked(side))

    def _try(self, action: Callable[..., None], *arguments: Any) -> bool:
        """Do it; what cannot be done is said in the message line, and leaves all as it was."""
        with self._lock:
            failed = _failure(action, *arguments)
            self.message.value = failed or _failure(self._check_start)
            self._show()
            return not failed

    def _check_start(self) -> None:
        """Raises InputError while a control that restarts the demo is wrong."""
        self._seed()
        check_overlap(self.overlap.value)

    def _restart(self) -> None:
        self.play.value = False
        names = [self.left.value, self.right.value]
        self.demo = self._start(names, overlap=self.overlap.value, seed=self._seed())

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

    def _clicked(self, side: int) -> Callable[..., None]:
        def label(trace: Any, points: Any, state: Any) -> None:
            # By coordinates: a page that is a step behind has other points in the same positions.
            if points.xs:
                point = self.demo.nearest(points.xs[0], points.ys[0])
                self.side.value, self.point.value = side, point
                self._try(self._label, point, side)

        return label

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
        figure.update(self.figure, self.demo, self.point.value)
        self.status.value = self.fit.label = self.demo.describe()
        self.where.value = self.demo.where(self.point.value)


def _failure(action: Callable[..., None], *arguments: Any) -> str:
    """Do it; what the input was wrong in, as a sentence, or nothing."""
    try:
        action(*arguments)
    except InputError as error:
        return f"{str(error)[0].upper()}{str(error)[1:]}."
    return ""


def _row(*parts: Any) -> ipywidgets.HBox:
    return ipywidgets.HBox(parts, layout={"flex_flow": "row wrap", "align_items": "center"})


def _control(
    kind: Any, description: str, tooltip: str = "", width: str = "max-content", **options: Any
) -> Any:
    control = kind(
        description=description,
        tooltip=tooltip or description,
        layout={"width": width},
        **options,
    )
    if hasattr(control.style, "description_width"):
        control.style.description_width = "initial"
    return control


toy_demo = ToyDemo  # as notebooks call it

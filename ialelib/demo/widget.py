"""The toy demo as a widget for JupyterLab and Voila: Figure 1 to play with."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import anywidget
import ipywidgets
import traitlets

from ialelib import policy
from ialelib.demo import figure
from ialelib.demo.session import SIDES, STRATEGIES, Demo, check_overlap
from ialelib.plots.style import NAMES
from ialelib.utils.errors import InputError, unknown


class Line(anywidget.AnyWidget):
    """A line of text that screen readers speak whenever it changes.

    `role` is "status", or "alert" for what went wrong.
    """

    _esm = """
    export default { render({ model, el }) {
      const role = model.get("role");
      el.setAttribute("role", role);
      el.setAttribute("aria-live", role === "alert" ? "assertive" : "polite");
      el.classList.add("ialelib-" + role);
      const show = () => { el.textContent = model.get("value"); };
      model.on("change:value", show);
      show();
    } };
    """
    _css = """
    .ialelib-status, .ialelib-alert { line-height: 1.4; min-height: 1.4em; }
    .ialelib-status { color: var(--jp-ui-font-color1, #333); }
    .ialelib-alert { color: var(--jp-error-color1, #c62828); font-weight: bold; }
    """
    value = traitlets.Unicode("").tag(sync=True)
    role = traitlets.Unicode("status").tag(sync=True)


class Fit(anywidget.AnyWidget):
    """Keeps Plotly's figure as wide as its place, keys for the controls, and words for the figure.

    Put it into the box of class `around`; `label` is what screen readers say of the figure.
    Plotly's widget measures its place before it has one, and afterwards only with the window.
    JupyterLab takes arrow keys for itself, even from lists and sliders, unless they end here.
    """

    _esm = """
    export default { render({ model, el }) {
      let box = null;
      const fit = () => {
        const plot = box.querySelector(".js-plotly-plot");
        plot?.setAttribute("role", "img");
        plot?.setAttribute("aria-label", model.get("label"));
        const width = plot?._fullLayout?.width;
        if (width && plot.clientWidth && Math.abs(width - plot.clientWidth) > 1)
          window.dispatchEvent(new Event("resize"));
      };
      const drawn = new MutationObserver(fit), sized = new ResizeObserver(fit);
      const start = () => {
        box = el.closest("." + model.get("around"));
        if (!box) return requestAnimationFrame(start);
        box.addEventListener("keydown", event => event.stopPropagation());
        drawn.observe(box, { childList: true, subtree: true });
        sized.observe(box);
      };
      start();
      const told = () => box && fit();
      model.on("change:label", told);
      return () => { drawn.disconnect(); sized.disconnect(); model.off("change:label", told); };
    } };
    """
    around = traitlets.Unicode().tag(sync=True)
    label = traitlets.Unicode().tag(sync=True)


SEED_DIGITS = 18
PAUSE = 0.4  # seconds between two steps while it plays
WIDE = {"description_width": "initial"}


def toy_demo(
    left: str = "random",
    right: str = "policy",
    overlap: float = 0.2,
    acq: int = 10,
    n: int = 100,
    seed: int = 0,
    samples: int = 300,
    initial: int = 20,
    policy_name: str = "toy",
) -> ipywidgets.Box:
    """Two strategies side by side on two Gaussians, with all controls; see `demo.Demo`.

    `policy_name` is of a shipped policy or a file; it stays the same for every overlap.

    Raises:
        InputError: arguments that cannot be shown. What readers enter later only gives a message.
    """
    for name in (left, right):
        if name not in STRATEGIES:
            raise unknown("strategy", name, STRATEGIES)
    return ToyDemo(
        policy.load_policy(policy_name), samples, initial, left, right, overlap, acq, n, seed
    )


class ToyDemo(ipywidgets.VBox):  # type: ignore[misc]
    """Controls, messages and the figure of one demo."""

    def __init__(
        self,
        scorer: policy.Policy,
        samples: int,
        initial: int,
        left: str,
        right: str,
        overlap: float,
        acq: int,
        n: int,
        seed: int,
    ) -> None:
        self._fresh = lambda names, share, start: Demo(
            names, scorer, share, start, samples, initial
        )
        self.demo = self._fresh([left, right], overlap, seed)
        self._playing: asyncio.Task[None] | None = None
        # JupyterLab has what readers press handled in another thread than what plays.
        self._lock = threading.RLock()
        self.left, self.right = (
            _choice(f"{side} strategy", [(NAMES[name], name) for name in STRATEGIES], value)
            for side, value in zip(SIDES, (left, right), strict=True)
        )
        self.overlap = ipywidgets.FloatSlider(
            overlap,
            min=0,
            max=1,
            step=0.05,
            description="Overlap",
            tooltip="Overlap of the two Gaussians",
            continuous_update=False,
            style=WIDE,
            layout={"width": "270px"},
        )
        self.acq = _number("Acquisition size", acq, "Labels that each side adds in a step")
        self.n = _number("Sub-pool n", n, "Random points that each batch is chosen from")
        self.seed = ipywidgets.Text(
            str(seed),
            description="Seed",
            tooltip="Of points, initial labels, weights and sub-pools; press Enter",
            continuous_update=False,
            style=WIDE,
            layout={"width": "120px"},
        )
        self.step = _button("Step", "Both sides choose and label one batch")
        self.play = ipywidgets.ToggleButton(
            description="Play",
            tooltip="One step after the other, until pressed again",
            layout={"width": "90px"},
        )
        self.reset = _button("Reset", "Back to the initial labels")
        self.side = _choice("Panel", [(side, i) for i, side in enumerate(SIDES)], 0)
        self.point = _number("Point", 0, "Number of a point; it is ringed in both panels")
        self.add = _button("Label this point", "Label the ringed point in that panel")
        self.message = Line(role="alert")
        self.status = Line()
        self.where = Line()
        self.figure = figure.build(self.demo)
        self.fit = Fit(around="ialelib-demo")
        self._connect()
        super().__init__(
            [
                ipywidgets.HTML(figure.STYLE, layout={"display": "none"}),
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
        self._tell()

    def _connect(self) -> None:
        for control in (self.left, self.right, self.overlap, self.seed):
            control.observe(lambda change: self._try(self._restart), "value")
        self.step.on_click(lambda button: self._try(self._step))
        self.reset.on_click(lambda button: self._try(self._restart))
        self.play.observe(self._play, "value")
        self.point.observe(lambda change: self._try(self._ring), "value")
        self.add.on_click(lambda button: self._try(self._label, self.point.value, self.side.value))
        for side in range(len(SIDES)):
            for name in figure.CLICKABLE:
                figure.trace(self.figure, name, side).on_click(self._clicked(side))

    def _try(self, action: Callable[..., None], *arguments: Any) -> bool:
        """Do it; what cannot be done is said in the message line, and leaves all as it was."""
        with self._lock:
            try:
                action(*arguments)
            except InputError as error:
                self.message.value = _sentence(error)
                return False
            self.message.value = self._standing()
            return True

    def _standing(self) -> str:
        """What is still wrong with controls that start the demo anew, when other things go well."""
        try:
            self._check_start()
        except InputError as error:
            return _sentence(error)
        return ""

    def _check_start(self) -> None:
        self._seed()
        check_overlap(self.overlap.value)

    def _restart(self) -> None:
        self.play.value = False
        names = [self.left.value, self.right.value]
        self.demo = self._fresh(names, self.overlap.value, self._seed())
        self._show()

    def _step(self) -> None:
        self._check_start()
        self.demo.step(self.acq.value, self.n.value)
        self._show()

    def _label(self, point: int, side: int) -> None:
        self.demo.label(point, side)
        self._show()

    def _ring(self) -> None:
        figure.ring(self.figure, self.demo, self.point.value)
        self._tell()

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
        self._tell()

    def _tell(self) -> None:
        self.status.value = self.fit.label = self.demo.describe()
        self.where.value = self.demo.where(self.point.value)


def _sentence(error: InputError) -> str:
    return f"{str(error)[0].upper()}{str(error)[1:]}."


def _row(*parts: Any) -> ipywidgets.HBox:
    return ipywidgets.HBox(parts, layout={"flex_flow": "row wrap", "align_items": "center"})


def _choice(description: str, options: list[Any], value: Any) -> ipywidgets.Dropdown:
    return ipywidgets.Dropdown(
        options=options,
        value=value,
        description=description.capitalize(),
        tooltip=description.capitalize(),
        style=WIDE,
        layout={"width": "max-content"},
    )


def _number(description: str, value: int, tooltip: str) -> ipywidgets.IntText:
    return ipywidgets.IntText(
        value,
        description=description,
        tooltip=tooltip,
        style=WIDE,
        layout={"width": "170px" if " " in description else "120px"},
    )


def _button(description: str, tooltip: str) -> ipywidgets.Button:
    return ipywidgets.Button(
        description=description, tooltip=tooltip, layout={"width": "max-content"}
    )

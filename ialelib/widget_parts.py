"""Small widgets that ipywidgets lacks: a line that is spoken, and figures that fit their place."""

import anywidget
import traitlets


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

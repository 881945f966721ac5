// Keeps Plotly's figure as wide as its place, keys for the controls, and words for the figure.
export default {
  render({ model, el }) {
    let box = null;
    const fit = () => {
      const plot = box.querySelector(".js-plotly-plot");
      plot?.setAttribute("role", "img");
      plot?.setAttribute("aria-label", model.get("label"));
      const width = plot?._fullLayout?.width;
      // Plotly measures its place before it has one, and afterwards only with the window.
      if (width && plot.clientWidth && Math.abs(width - plot.clientWidth) > 1)
        window.dispatchEvent(new Event("resize"));
    };
    const drawn = new MutationObserver(fit), sized = new ResizeObserver(fit);
    const start = () => {
      box = el.closest("." + model.get("around"));
      if (!box) return requestAnimationFrame(start);
      // JupyterLab takes arrow keys for itself, even from lists and sliders.
      box.addEventListener("keydown", event => event.stopPropagation());
      drawn.observe(box, { childList: true, subtree: true });
      sized.observe(box);
    };
    start();
    const told = () => box && fit();
    model.on("change:label", told);
    return () => { drawn.disconnect(); sized.disconnect(); model.off("change:label", told); };
  },
};

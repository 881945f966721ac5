// Plotly's figures, each as large as demo.css makes its place; keys for the controls around them.
const { Plotly } = window; // its library stands before this file
const config = { displayModeBar: false, doubleClick: false };

export default {
  render({ model, el }) {
    el.classList.add("ialelib-plots");
    el.setAttribute("role", "img");
    const places = model.get("plots").map(({ kind }) => {
      const place = document.createElement("figure");
      place.className = "ialelib-" + kind;
      place.innerHTML = "<figcaption></figcaption><div></div>";
      el.append(place);
      return place.children;
    });
    const draw = () => {
      el.setAttribute("aria-label", model.get("label"));
      model.get("plots").forEach(({ heading, figure }, side) => {
        const [caption, plot] = places[side];
        caption.innerHTML = heading;
        const { clientWidth: width, clientHeight: height } = plot;
        if (!width) return; // not on the page yet
        const { data, layout } = JSON.parse(figure), first = !plot.on;
        Plotly.react(plot, data, { ...layout, width, height }, config);
        // By the point's own index: a page that is a step behind has others in the same positions.
        if (first) plot.on("plotly_click", ({ points: [{ customdata: point }] }) => {
          if (point !== undefined) model.send({ point, side });
        });
      });
    };
    const sized = new ResizeObserver(() => {
      // JupyterLab takes arrow keys for itself, even from lists and sliders.
      el.closest(".ialelib-demo").onkeydown = event => event.stopPropagation();
      draw();
    });
    sized.observe(el);
    model.on("change:plots", draw);
    return () => { sized.disconnect(); model.off("change:plots", draw); };
  },
};

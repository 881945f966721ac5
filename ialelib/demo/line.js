// A line of text that screen readers speak whenever it changes.
export default {
  render({ model, el }) {
    const role = model.get("role");
    el.setAttribute("role", role);
    el.setAttribute("aria-live", role === "alert" ? "assertive" : "polite");
    el.classList.add("ialelib-" + role);
    const show = () => { el.textContent = model.get("value"); };
    model.on("change:value", show);
    show();
  },
};

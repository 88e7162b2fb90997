// <dtmf-shield-capture base="https://pay.example.com" call="ID" flow="card-payment" lang="de">: dtmf-shield's panel in your
// page. Load this file from the service itself; it is no module. It makes the frame, gives it the height it wants, and
// fires what the panel tells as DOM events: dtmf-shield-ready, -state, -field, -result, -resize, the message in `detail`.
// Ask by start(inputs, flow), showCall(id) and focusPanel(). The element stands in your page's own tree and keeps nothing.
(() => {
  const VERSION = 1;
  const PREFIX = "dtmf-shield.";
  const TOLD = ["ready", "state", "field", "result", "resize"];
  const HEIGHT_MIN = 120;
  const HEIGHT_MAX = 2000;
  const NOT_READY = {
    type: `${PREFIX}state`, v: VERSION, call: null, state: null, capture: null, capture_state: null, reference: null,
    shield: "unknown", connection: "connecting", start: "not_ready",
  };
  const OWN = document.currentScript ? new URL(document.currentScript.src).origin : null;

  class DtmfShieldCapture extends HTMLElement {
    static observedAttributes = ["call"];
    #wanted = null;  // the call last asked for, by attribute or by showCall(); null: whichever is in hand
    #ready = false;  // whether somebody listens in the frame

    connectedCallback() {
      if (this.frame) return;
      this.origin = new URL(this.getAttribute("base") || OWN).origin;
      this.ignored = 0;
      this.#ready = false;
      this.frame = document.createElement("iframe");
      this.frame.allow = "microphone; autoplay";
      this.frame.title = this.getAttribute("title") || "dtmf-shield";
      this.frame.src = this.#address();
      Object.assign(this.frame.style, { display: "block", width: "100%", height: `${HEIGHT_MIN}px`, border: "0" });
      this.style.display = "block";
      this.hear = (event) => this.#hear(event);
      window.addEventListener("message", this.hear);
      this.append(this.frame);
    }

    disconnectedCallback() {
      window.removeEventListener("message", this.hear);
      this.frame?.remove();
      this.frame = null;
    }

    attributeChangedCallback(name, before, after) {
      if (before !== after) this.showCall(after || null);
    }

    // Starts a capture in the call that is shown. inputs: texts by name, never a card number; flow: else the attribute's.
    // Before the panel stands nothing is sent, nor kept for later: the answer is the panel's own, not_ready.
    start(inputs = {}, flow = this.getAttribute("flow")) {
      if (this.#ready) this.#ask({ type: `${PREFIX}start`, flow, inputs });
      else queueMicrotask(() => this.#fire("state", { ...NOT_READY }));
    }

    // null: the call in hand again. Also before the panel stands: it is told once it does.
    showCall(id = null) {
      this.#wanted = id;
      this.#ask({ type: `${PREFIX}call`, id });
    }

    focusPanel() {
      this.frame?.focus();
      this.#ask({ type: `${PREFIX}focus` });
    }

    #address() {
      const address = new URL("/ui/embed/", this.origin);
      const asked = { call: this.#wanted, flow: this.getAttribute("flow"), lang: this.getAttribute("lang") };
      for (const [name, value] of Object.entries(asked)) if (value) address.searchParams.set(name, value);
      address.searchParams.set("host", location.origin);
      return address.href;
    }

    #ask(message) {
      if (!this.#ready) return;
      this.frame?.contentWindow?.postMessage({ ...message, v: VERSION }, this.origin);
    }

    #hear({ origin, source, data }) {
      if (typeof data?.type !== "string" || !data.type.startsWith(PREFIX)) return;
      const name = data.type.slice(PREFIX.length);
      if (origin !== this.origin || source !== this.frame?.contentWindow) {
        this.ignored += 1;
        return;
      }
      if (data.v !== VERSION || !TOLD.includes(name)) return;
      if (name === "resize") this.frame.style.height = `${Math.min(HEIGHT_MAX, Math.max(HEIGHT_MIN, data.height))}px`;
      if (name === "ready") this.#stands(data.call);
      this.#fire(name, data);
    }

    // The frame may have begun with another call than the one that is wanted by now, or begun anew.
    #stands(call) {
      this.#ready = true;
      if (this.#wanted !== call) this.showCall(this.#wanted);
    }

    #fire(name, detail) {
      this.dispatchEvent(new CustomEvent(`dtmf-shield-${name}`, { detail, bubbles: true }));
    }
  }

  if (!customElements.get("dtmf-shield-capture")) customElements.define("dtmf-shield-capture", DtmfShieldCapture);
})();

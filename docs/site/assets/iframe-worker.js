// A browser starts no worker from a file. Search then runs in a hidden frame with the same interface.
if (location.protocol === "file:") {
  window.IFrameWorker = window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      frame.title = "search";
      document.body.appendChild(frame);
      this.frame = frame;
      window.addEventListener("message", (event) => {
        if (event.source !== frame.contentWindow) return;
        const copy = new MessageEvent("message", { data: event.data });
        this.dispatchEvent(copy);
        if (this.onmessage) this.onmessage(copy);
      });
      const page = frame.contentDocument;
      page.open();
      page.write(
        "<html lang='en'><title>search</title><body><script>" +
          "var __loading = 0, postMessage = parent.postMessage.bind(parent);" +
          "var importScripts = (...urls) => Promise.all(urls.map((url) => new Promise((done, fail) => {" +
          "const script = document.createElement('script');" +
          "script.src = url; script.onload = done; script.onerror = fail;" +
          "document.body.appendChild(script) })))" +
          "<\/script><script src='" + url + "'><\/script></body></html>"
      );
      page.close();
      this.ready = new Promise((done) => frame.addEventListener("load", done, { once: true }));
    }
    postMessage(data) {
      this.ready.then(() =>
        this.frame.contentWindow.dispatchEvent(new MessageEvent("message", { data }))
      );
    }
    terminate() {
      this.frame.remove();
    }
  };
}

// Follows a build's log as it grows, and fetches the page again when something ends. Pages work without it.
(function () {
  "use strict";
  // What still runs counts on from what the server said; the clocks of the two are not compared.
  setInterval(function () {
    document.querySelectorAll("[data-so-far]").forEach(function (shown) {
      var seconds = Math.floor((Number(shown.getAttribute("data-so-far")) + performance.now()) / 1000);
      shown.textContent = seconds < 60 ? seconds + " s" : Math.floor(seconds / 60) + " min " + seconds % 60 + " s";
    });
  }, 1000);
  var log = document.getElementById("log");
  var address = log && log.getAttribute("data-follow");
  if (!address) {
    setTimeout(function () { location.reload(); }, 3000);
    return;
  }
  // What could change how a text is read is left out, as the server does.
  var control = /\x1b\[[0-?]*[ -\/]*[@-~]|\x1b\][^\x07\x1b]*(\x07|\x1b\\)?|[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
  var known = null;
  var events = new EventSource(address);
  events.addEventListener("log", function (event) {
    var atEnd = window.innerHeight + window.scrollY >= document.body.offsetHeight - 40;
    log.appendChild(document.createTextNode(JSON.parse(event.data).text.replace(control, "")));
    if (atEnd) { window.scrollTo(0, document.body.scrollHeight); }
  });
  events.addEventListener("state", function (event) {
    var state = JSON.parse(event.data).state;
    if (known !== null && known !== state) { location.reload(); }
    known = state;
  });
  var steps = document.getElementById("steps");
  setInterval(function () {
    fetch(location.pathname + "/steps").then(function (answer) { return answer.ok ? answer.text() : null; }).then(function (text) {
      if (text !== null && text !== steps.innerHTML) { steps.innerHTML = text; }
    }).catch(function () { /* The next one may come through. */ });
  }, 2000);
  events.addEventListener("end", function () { events.close(); location.reload(); });
}());

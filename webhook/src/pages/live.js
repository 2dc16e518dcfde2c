// Live changes and keys of the pages. Everything works without JavaScript.
(function () {
  "use strict";
  var body = document.body, list = document.querySelector("[data-version]"), log = document.querySelector("[data-follow]");
  var all = function (what, of) { return Array.prototype.slice.call((of || document).querySelectorAll(what)); };
  all(".scripted").forEach(function (part) { part.hidden = false; });

  // Times: what still runs counts on from what the server said; the clocks of the two are not compared.
  var loaded = Date.now(), seen = new WeakMap();
  function clocks() {
    if (document.hidden) { return; }
    all("[data-so-far]").forEach(function (shown) {
      if (!seen.has(shown)) { seen.set(shown, performance.now()); }
      var seconds = Math.floor((Number(shown.getAttribute("data-so-far")) + performance.now() - seen.get(shown)) / 1000);
      shown.textContent = seconds < 60 ? seconds + " s" : Math.floor(seconds / 60) + " min " + seconds % 60 + " s";
    });
    all("time").forEach(function (time) {
      var past = (Date.now() - Date.parse(time.dateTime)) / 1000;
      if (past < 5 || past > 86400 || Date.now() - loaded < 5000) { return; }
      time.textContent = past < 60 ? Math.floor(past) + " s ago" : past < 3600 ? Math.floor(past / 60) + " min ago" : Math.floor(past / 3600) + " h ago";
    });
  }
  function exact() {
    all("time").forEach(function (time) {
      time.title = new Date(time.dateTime).toLocaleString(document.documentElement.lang, { dateStyle: "medium", timeStyle: "long" });
    });
  }
  setInterval(clocks, 1000);
  exact();

  function say(sentence) { document.getElementById("said").textContent = sentence; }

  // Puts in the parts of the page that are others now; the focus stays where it was.
  function put(fresh) {
    all("[data-part]").forEach(function (old) {
      var part = fresh.getElementById(old.id), at = document.activeElement;
      if (!part || part.outerHTML === old.outerHTML) { return; }
      var row = at && old.contains(at) && at.closest("[id]"), link = at && at.getAttribute && at.getAttribute("href");
      old.replaceWith(document.adoptNode(part));
      all(".scripted", part).forEach(function (shown) { shown.hidden = false; });
      var again = row && document.getElementById(row.id);
      if (again) { (link && all("a", again).filter(function (a) { return a.getAttribute("href") === link; })[0] || again).focus(); }
    });
    all("details[data-step]", fresh).forEach(function (step) {
      var old = document.getElementById(step.id);
      if (!old) { document.querySelector(".log").appendChild(document.adoptNode(step)); return; }
      if (old.className !== step.className && step.open) { old.open = true; }
      old.className = step.className;
      if (old.firstElementChild.innerHTML !== step.firstElementChild.innerHTML) {
        old.firstElementChild.innerHTML = step.firstElementChild.innerHTML;
      }
    });
    if (document.title !== fresh.title) { document.title = fresh.title; }
    var icon = document.querySelector("link[rel=icon]"), next = fresh.querySelector("link[rel=icon]");
    if (next && icon.getAttribute("href") !== next.getAttribute("href")) { icon.setAttribute("href", next.getAttribute("href")); }
    exact();
  }
  var busy = false, again = false;
  function refresh() {
    if (busy) { again = true; return Promise.resolve(); }
    busy = true;
    return fetch(location.href, { headers: { Accept: "text/html" } }).then(function (answer) {
      return answer.ok ? answer.text() : null;
    }).then(function (text) {
      if (text !== null) { put(new DOMParser().parseFromString(text, "text/html")); }
    }).catch(function () { /* The next one may come through. */ }).then(function () {
      busy = false;
      if (again) { again = false; refresh(); }
    });
  }

  // A stream only while somebody looks: browsers open few connections to one server.
  var events = null, next = log ? log.getAttribute("data-follow") : null;
  function open() {
    if (events || document.hidden || !body.hasAttribute("data-live")) { return; }
    if (log) { follow(); return; }
    if (!list) { return; }
    events = new EventSource(location.href);
    events.addEventListener("version", function (event) {
      var shown = document.querySelector("[data-version]");
      if (shown && shown.getAttribute("data-version") !== event.data) { refresh(); }
    });
  }
  function close() { if (events) { events.close(); events = null; } }
  document.addEventListener("visibilitychange", function () { if (document.hidden) { close(); } else { open(); } });

  // The log: lines are made from text, so that what a build prints never becomes markup.
  var following = true, waiting = 0, button = document.getElementById("follow"), looks = {};
  var others = /\x1b\[[0-?]*[ -\/]*[@-ln-~]|\x1b\][^\x07\x1b]*(\x07|\x1b\\)?|\x1b[^\[]|[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
  function look(state, numbers) {
    numbers.split(/[;:]/).forEach(function (text) {
      var number = Number(text);
      if (number === 0) { state.colour = null; state.bold = false; }
      else if (number === 1) { state.bold = true; }
      else if (number === 2 || number === 90) { state.colour = 8; }
      else if (number === 22) { state.bold = false; }
      else if (number === 39) { state.colour = null; }
      else if (number >= 30 && number <= 37) { state.colour = number - 30; }
      else if (number >= 91 && number <= 97) { state.colour = number - 90; }
    });
  }
  function write(line, text, state) {
    text.split(/(\x1b\[[0-9;:]*m)/).forEach(function (part) {
      var sequence = /^\x1b\[([0-9;:]*)m$/.exec(part);
      if (sequence) { look(state, sequence[1]); return; }
      part = part.replace(/\x1b/g, "");
      if (!part) { return; }
      if (state.colour === null && !state.bold) { line.appendChild(document.createTextNode(part)); return; }
      var piece = document.createElement("span");
      piece.className = (state.colour === null ? "" : "a" + state.colour) + (state.bold ? " ab" : "");
      piece.textContent = part;
      line.appendChild(piece);
    });
  }
  function begin(pre, number, state) {
    var last = pre.lastElementChild, count = last && last.id ? Number(last.id.split("-")[1]) + 1 : 1;
    var line = state.line = document.createElement("span");
    line.className = "l";
    if (!isNaN(count)) {
      var link = document.createElement("a");
      line.id = "s" + number + "-" + count;
      link.href = "#" + line.id;
      link.textContent = count;
      line.appendChild(link);
    }
    waiting += following ? 0 : 1;
    return pre.appendChild(line);
  }
  function add(number, text) {
    var step = document.getElementById("s" + number);
    if (!step) { refresh(); return; }
    var pre = step.querySelector("pre"), state = looks[number] || (looks[number] = { colour: null, bold: false, line: null });
    var none = pre.querySelector(".gap:only-child");
    if (none && !none.querySelector("a")) { none.remove(); }
    text.replace(/\r\n?/g, "\n").replace(others, "").split("\n").forEach(function (part, at) {
      if (at > 0) {
        (state.line || begin(pre, number, state)).appendChild(document.createTextNode("\n"));
        state.line = null;
      }
      if (part !== "") { write(state.line || begin(pre, number, state), part, state); }
    });
    while (pre.childElementCount > 5000) { pre.removeChild(pre.firstElementChild); }
    if (following && step.open && pre.lastElementChild) {
      pre.lastElementChild.scrollIntoView({ block: "nearest" });
    }
    label();
  }
  function label() {
    if (!button) { return; }
    button.setAttribute("aria-pressed", String(following));
    button.textContent = following ? "Following" : waiting ? waiting + " new lines: follow" : "Follow";
  }
  function setFollowing(on) { following = on; waiting = 0; label(); }
  if (button) {
    button.addEventListener("click", function () { setFollowing(!following); });
    addEventListener("wheel", function (event) { if (event.deltaY < 0) { setFollowing(false); } }, { passive: true });
    addEventListener("touchmove", function () { setFollowing(false); }, { passive: true });
    // Nothing jumps for somebody who reads the top of the page.
    following = location.hash === "" && document.getElementById("steps").getBoundingClientRect().top < innerHeight;
    label();
  }
  function follow() {
    events = new EventSource(next);
    var known = null;
    events.addEventListener("log", function (event) {
      var told = JSON.parse(event.data);
      next = next.replace(/since_offset=\d+/, "since_offset=" + event.lastEventId);
      add(told.step || 0, told.text);
    });
    events.addEventListener("state", function (event) {
      var state = JSON.parse(event.data).state;
      if (known !== null && known !== state) { refresh(); }
      known = state;
    });
    events.addEventListener("steps", refresh);
    events.addEventListener("end", function (event) {
      close();
      body.removeAttribute("data-live");
      if (button) { button.hidden = true; }
      refresh().then(function () { say("The build has ended: " + JSON.parse(event.data).state); });
    });
  }
  open();

  // Copying, wrapping, keys.
  document.addEventListener("click", function (event) {
    var copy = event.target.closest && event.target.closest(".copy");
    if (!copy) { return; }
    navigator.clipboard.writeText(copy.parentElement.querySelector("code").textContent).then(function () {
      copy.textContent = "Copied";
      say("Copied");
    });
  });
  var wrap = document.getElementById("wrap");
  if (wrap) { wrap.addEventListener("change", function () { document.querySelector(".log").classList.toggle("nowrap", !wrap.checked); }); }
  function unfold() {
    var target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    var step = target && target.closest("details");
    if (step && !step.open) { step.open = true; target.scrollIntoView(); }
  }
  addEventListener("hashchange", unfold);
  unfold();
  // The box that says what a push would build answers while one types.
  var trial = document.querySelector("[data-try]"), later = 0;
  if (trial) {
    trial.addEventListener("input", function () {
      clearTimeout(later);
      later = setTimeout(function () {
        history.replaceState(null, "", "?" + new URLSearchParams(new FormData(trial)) + "#try");
        refresh();
      }, 300);
    });
  }
  var gone = 0, error = -1;
  function move(by) {
    var rows = all(".row, .cards tbody tr, .step"), at = rows.findIndex(function (row) { return row.classList.contains("at"); });
    var to = rows[Math.min(rows.length - 1, Math.max(0, at + by))];
    if (!to) { return; }
    if (at >= 0) { rows[at].classList.remove("at"); }
    to.classList.add("at");
    (to.querySelector(".go, summary, a") || to).focus();
  }
  addEventListener("keydown", function (event) {
    if (event.ctrlKey || event.metaKey || event.altKey) { return; }
    if (event.target.closest("input, select, textarea")) { if (event.key === "Escape") { event.target.blur(); } return; }
    var key = event.key, place = Date.now() - gone < 1200 && document.querySelector("[data-key='" + CSS.escape(key) + "']");
    gone = key === "g" ? Date.now() : 0;
    if (place) { location.href = place.href; }
    else if (key === "j" || key === "k") { move(key === "j" ? 1 : -1); }
    else if (key === "/") {
      var search = document.querySelector("input[type=search]");
      if (search) { event.preventDefault(); search.focus(); }
    }
    else if (key === "e") {
      var errors = all(".l.e");
      if (errors.length) {
        error = (error + 1) % errors.length;
        errors[error].closest("details").open = true;
        errors[error].scrollIntoView({ block: "center" });
      }
    }
    else if (key === "l" || key === "t") {
      var part = document.getElementById(key === "l" ? "steps" : "timeline");
      if (part) { part.scrollIntoView(); }
    }
    else if (key === "f" && button) { setFollowing(!following); }
    else if (key === "?") {
      var keys = document.getElementById("keys");
      if (keys.open) { keys.close(); } else { keys.showModal(); }
    }
  });
}());

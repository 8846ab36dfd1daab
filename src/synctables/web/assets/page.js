// The page renews itself with htmx (attributes in the templates). What is ours: saying so when the
// server cannot be reached, since a table that stands still looks like one where all is well; and
// asking nothing while nobody looks.
import htmx from "htmx.org";

htmx.config.noSwap = [204, 304, "4xx", "5xx"];

const showOffline = (isOffline) => {
  document.getElementById("offline")?.toggleAttribute("hidden", !isOffline);
};

document.addEventListener("htmx:before:request", (event) => {
  if (document.hidden) event.preventDefault();
});
document.addEventListener("htmx:error", () => showOffline(true));
document.addEventListener("htmx:response:error", () => showOffline(true));
document.addEventListener("htmx:after:swap", () => showOffline(false));

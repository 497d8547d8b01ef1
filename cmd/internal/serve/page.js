document.querySelector("form").addEventListener("submit", async e => {
  e.preventDefault();
  const form = e.target, shown = document.getElementById("result");
  try {
    const answer = await fetch("/", {method: "POST", body: new URLSearchParams(new FormData(form))});
    const page = new DOMParser().parseFromString(await answer.text(), "text/html"), result = page.getElementById("result");
    if (!result) throw new Error("status " + answer.status);
    shown.replaceWith(result);
    form.querySelectorAll("label").forEach((label, i) => { label.className = page.querySelectorAll("label")[i]?.className ?? ""; });
  } catch (err) {
    shown.textContent = "The server did not answer: " + err.message;
  }
});

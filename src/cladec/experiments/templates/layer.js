"use strict";

const alphas = JSON.parse(document.getElementById("alphas").textContent);
const slider = document.getElementById("alpha");

function show() {
  const place = Number(slider.value);
  document.body.dataset.alpha = place;
  document.getElementById("value").textContent = alphas[place];
  slider.setAttribute("aria-valuetext", alphas[place]);
  for (const answer of document.querySelectorAll(".at")) {
    answer.hidden = !answer.classList.contains(`at-${place}`);
  }
}

slider.addEventListener("input", show);
show();

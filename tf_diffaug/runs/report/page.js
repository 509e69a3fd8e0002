"use strict"
;(() => {
  const style = getComputedStyle(document.documentElement)
  const colour = (name) => style.getPropertyValue(name).trim()
  const plots = new Map()

  // Bokeh draws on a canvas, which no style sheet reaches.
  const paint = (plot) => {
    for (const model of plot.references()) {
      if (model.type === "Grid" && model.grid_line_color !== null) {
        model.grid_line_color = colour("--grid")
      } else if (model.type === "LinearAxis") {
        model.major_label_text_color = colour("--soft")
      } else if (model.type === "Span") {
        model.line_color = colour("--soft")
      }
    }
  }
  const dark = window.matchMedia("(prefers-color-scheme: dark)")
  dark.addEventListener("change", () => plots.forEach(paint))

  const items = JSON.parse(document.getElementById("items").textContent)
  const drawn = items.map(async (item) => {
    const views = await Bokeh.embed.embed_item(item)
    const plot = [...views][0].model
    plots.set(item.target_id, plot)
    paint(plot)
  })
  Promise.all(drawn).then(() => document.body.setAttribute("data-drawn", ""))

  for (const button of document.querySelectorAll(".legend button")) {
    button.addEventListener("click", () => {
      const shown = button.getAttribute("aria-pressed") !== "true"
      button.setAttribute("aria-pressed", shown)
      const plot = plots.get(button.closest(".chart").querySelector(".plot").id)
      for (const renderer of plot.renderers) {
        if (renderer.name === button.dataset.curve) renderer.visible = shown
      }
    })
  }

  const time = document.getElementById("time")
  if (time !== null) {
    const steps = JSON.parse(time.dataset.steps)
    const show = () => {
      const step = steps[time.valueAsNumber]
      document.getElementById("step").value = `step ${step.toLocaleString("en-US")}`
      for (const frames of document.querySelectorAll(".frames")) {
        const sheets = [...frames.querySelectorAll("img")]
        // Runs have samples at steps of their own: the newest by then, else the first.
        const newest = sheets.findLast((sheet) => Number(sheet.dataset.step) <= step) ?? sheets[0]
        for (const sheet of sheets) sheet.hidden = sheet !== newest
      }
    }
    time.addEventListener("input", () => { stop(); show() })
    const play = document.getElementById("play")
    let timer = null
    const stop = () => {
      clearInterval(timer)
      timer = null
      play.textContent = "▶"
      play.setAttribute("aria-label", "Play")
    }
    play.addEventListener("click", () => {
      if (timer !== null) return stop()
      if (time.value === time.max) time.value = 0
      show()
      play.textContent = "❚❚"
      play.setAttribute("aria-label", "Pause")
      timer = setInterval(() => {
        time.stepUp()
        show()
        if (time.value === time.max) stop()
      }, 400)
    })
  }

  for (const button of document.querySelectorAll(".copy")) {
    button.addEventListener("click", async () => {
      const code = button.parentElement.querySelector("code")
      try {
        await navigator.clipboard.writeText(code.textContent)
      } catch {
        // A page from a file may have no clipboard: the text is marked, ready to be copied.
        getSelection().selectAllChildren(code)
        document.execCommand("copy")
      }
      button.textContent = "Copied"
      setTimeout(() => { button.textContent = "Copy" }, 1500)
    })
  }
})()

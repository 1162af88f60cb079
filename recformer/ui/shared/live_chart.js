// Streamlit does not say how long a file may be kept, and compresses it anew each time it is asked for. So the browser
// is told to take the one of this version that it has: else every page with a chart would wait for 5 MB.
const fetched = async () => {
    const path = "PLOTLY_ADDRESS";
    const answer = await fetch(new URL(path, document.baseURI), { cache: "force-cache" });
    if (!answer.ok) throw new Error(answer.statusText);
    const script = document.createElement("script");
    script.textContent = await answer.text();
    document.head.append(script);
    return window.Plotly;
};
const library = (window.recformerPlotly ??= fetched());

// As it is to be printed: dark text on white, with the zoom of the moment.
const save = (format) => (chart) => {
    const white = { paper_bgcolor: "white", plot_bgcolor: "white", font: { ...chart.layout.font, color: "#1F2933" } };
    const name = chart.layout.title.text.replace(/[^A-Za-z0-9@]+/g, "-").replace(/^-|-$/g, "").toLowerCase();
    window.Plotly.downloadImage(
        { data: chart.data, layout: { ...chart.layout, ...white } },
        { format, filename: name || "chart", width: chart.offsetWidth, height: chart.offsetHeight,
          scale: format === "png" ? 3 : 1 },
    );
};

// Made once: a chart whose options are not the very same ones is built anew, and its zoom is gone.
let kept;
const options = (Plotly) => (kept ??= {
    displaylogo: false,
    responsive: true,
    // Plotly would offer to send the chart to its own servers; nothing leaves this machine.
    showSendToCloud: false,
    plotlyServerURL: "",
    modeBarButtonsToRemove: ["toImage", "sendChartToCloud", "select2d", "lasso2d"],
    modeBarButtonsToAdd: [
        { name: "png", title: "Save as PNG", icon: Plotly.Icons.camera, click: save("png") },
        { name: "svg", title: "Save as SVG", icon: Plotly.Icons.disk, click: save("svg") },
    ],
});

// On a phone the names stand one below the other: they get a place of their own below the curves, all of them in sight.
const PHONE_PX = 500, NAME_PX = 20;
const withRoomForNames = (layout, traces, width) => {
    if (!layout.showlegend || !width || width >= PHONE_PX) return layout;
    const names = NAME_PX * traces.filter((trace) => trace.showlegend !== false).length;
    return { ...layout, height: layout.height + names, legend: { ...layout.legend, maxheight: 2 * names } };
};

const draw = (Plotly, chart, traces, layout) => {
    if (!chart.isConnected) return;
    Plotly.react(chart, traces, layout, options(Plotly));
    chart.link = layout.meta?.link;
    if (chart.link && !chart.isHeard) {
        chart.isHeard = true;
        // The browser goes there itself, so that Back leads to this very view.
        chart.on("plotly_click", ({ points }) => window.location.assign(
            new URL(chart.link + encodeURIComponent(points[0].customdata), document.baseURI)));
    }
};

export default function ({ data, parentElement }) {
    const chart = parentElement.querySelector(".live-chart");
    const { data: traces, layout: given } = JSON.parse(data);
    const layout = withRoomForNames(given, traces, chart.offsetWidth);
    chart.setAttribute("role", "img");
    chart.setAttribute("aria-label", layout.title.text);
    chart.style.height = `${layout.height}px`;
    library.then(
        (Plotly) => draw(Plotly, chart, traces, layout),
        () => { chart.textContent = "This chart could not be drawn: the app does not answer. Reload the page."; },
    );
}

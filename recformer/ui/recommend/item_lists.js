const SVG = "http://www.w3.org/2000/svg";
// Shapes, so that a mark is known without its colour: a target, an arrow that comes back, an open ring.
const SHAPES = {
    hit: "M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Zm0 2a5 5 0 1 1 0 10A5 5 0 0 1 8 3Zm0 3a2 2 0 1 0 0 4 2 2 0 0 0 0-4Z",
    repeat: "M8 2a6 6 0 0 1 5 2.7V2.5h2V8H9.5V6h1.9A4 4 0 1 0 12 8.5h2A6 6 0 1 1 8 2Z",
    seen: "M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2Zm0 2a4 4 0 1 1 0 8 4 4 0 0 1 0-8Z",
};

function make(name, kind, text) {
    const element = document.createElement(name);
    if (kind) element.className = kind;
    if (text !== undefined) element.textContent = text;
    return element;
}

function markOf({ kind, means }) {
    const mark = make("span", `mark ${kind}`);
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", "0 0 16 16");
    svg.setAttribute("aria-hidden", "true");
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", SHAPES[kind]);
    path.setAttribute("fill", "currentColor");
    svg.append(path);
    mark.append(svg, make("span", "", kind));
    mark.title = means;
    return mark;
}

function posterOf(address) {
    const image = make("img", "poster");
    image.loading = "lazy";
    image.alt = "";
    image.referrerPolicy = "no-referrer";
    image.onerror = () => image.remove();
    image.src = address;
    return image;
}

function cardOf(card, { chosen, ask }, choose) {
    const button = make("button", "card");
    button.type = "button";
    button.dataset.item = card.id;
    button.setAttribute("aria-pressed", String(card.id === chosen));
    const about = make("div", "about");
    const title = make("div", "title", card.title);
    if (card.year) title.append(" ", make("span", "year", card.year));
    const chips = make("div", "chips");
    for (const category of card.chips) {
        const chip = make("span", "chip", category.name);
        chip.style.color = `var(--st-${category.colour}-text-color)`;
        chip.style.background = `var(--st-${category.colour}-background-color)`;
        chips.append(chip);
    }
    const foot = make("div", "foot");
    const rail = make("div", "rail");
    const bar = make("span");
    bar.style.width = `${card.bar}%`;
    rail.append(bar);
    if (card.mark) foot.append(markOf(card.mark));
    if (card.share) foot.append(rail, make("span", "share", card.share)); // lists made elsewhere have no scores
    about.append(title, chips, foot);
    button.append(make("span", "rank", card.rank));
    if (card.poster) button.append(posterOf(card.poster));
    button.append(about);
    button.title = ask;
    button.onclick = () => choose(card.id);
    const place = make("li");
    place.append(button);
    return place;
}

function columnOf(column, lists, choose) {
    const section = make("section", "column");
    section.setAttribute("aria-label", column.name);
    section.style.setProperty("--model", column.colour);
    const head = make("div", "head");
    head.append(make("h3", "", column.name), make("div", "small", column.checkpoint));
    head.append(make("div", "target", column.target));
    const list = make("ol");
    for (const card of column.cards) list.append(cardOf(card, lists, choose));
    section.append(head, list);
    if (!column.cards.length) section.append(make("div", "empty", "Masking leaves nothing to recommend."));
    return section;
}

// One curve for each item that two neighbouring lists both have, from card to card.
function drawLines(lists, svg) {
    const columns = [...lists.querySelectorAll(".column")];
    const paths = [];
    for (let left = 0; left + 1 < columns.length; left += 1) {
        const others = new Map([...columns[left + 1].querySelectorAll(".card")].map((c) => [c.dataset.item, c]));
        for (const card of columns[left].querySelectorAll(".card")) {
            const other = others.get(card.dataset.item);
            if (!other) continue;
            // Offsets, not what is on the screen: a card that slides to its place is already there.
            const x1 = card.offsetLeft + card.offsetWidth, y1 = card.offsetTop + card.offsetHeight / 2;
            const x2 = other.offsetLeft, y2 = other.offsetTop + other.offsetHeight / 2;
            const middle = (x1 + x2) / 2;
            const path = document.createElementNS(SVG, "path");
            path.setAttribute("d", `M${x1} ${y1}C${middle} ${y1} ${middle} ${y2} ${x2} ${y2}`);
            path.dataset.item = card.dataset.item;
            paths.push(path);
        }
    }
    svg.replaceChildren(...paths);
    emphasise(lists, lists.emphasised);
}

function emphasise(lists, item) {
    lists.emphasised = item;
    for (const element of lists.querySelectorAll("[data-item]"))
        element.classList.toggle("same", element.dataset.item === item);
    lists.classList.toggle("touched", lists.querySelector(".same") !== null);
}

// The item that was pointed at or reached by the keyboard last. Only a pointer that moves points: when the page
// scrolls to a card that the keyboard has reached, the pointer lies over another one without anybody's doing.
function follow(lists) {
    if (lists.followed) return; // drawn before: what listens is still there
    lists.followed = true;
    let pointed, focused;
    const change = (where) => {
        const before = pointed ?? focused;
        ({ pointed, focused } = { pointed, focused, ...where });
        if ((pointed ?? focused) !== before) emphasise(lists, pointed ?? focused);
    };
    const item = (event) => event.target.closest?.(".card")?.dataset.item;
    const listen = (kind, where) => lists.addEventListener(kind, (event) => change(where(event)));
    listen("pointermove", (event) => ({ pointed: item(event) }));
    listen("pointerleave", () => ({ pointed: undefined }));
    listen("focusin", (event) => ({ pointed: undefined, focused: item(event) }));
    listen("focusout", () => ({ focused: undefined }));
}

// Where each card stood, so that after a change it can be seen to move from there.
function tops(lists) {
    const found = new Map();
    [...lists.querySelectorAll(".column")].forEach((column, number) => {
        for (const card of column.querySelectorAll(".card"))
            found.set(`${number} ${card.dataset.item}`, card.offsetTop);
    });
    return found;
}

function slide(lists, before) {
    if (!before.size || matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    const after = tops(lists);
    [...lists.querySelectorAll(".column")].forEach((column, number) => {
        for (const card of column.querySelectorAll(".card")) {
            const key = `${number} ${card.dataset.item}`;
            const by = (before.get(key) ?? after.get(key)) - after.get(key);
            const from = before.has(key) ? { transform: `translateY(${by}px)` } : { opacity: 0 };
            if (by || !before.has(key)) card.animate([from, {}], { duration: 220, easing: "ease-out" });
        }
    });
}

export default function ({ data, parentElement, setTriggerValue }) {
    const lists = parentElement.querySelector(".lists");
    const active = lists.getRootNode().activeElement;
    const focused = active?.classList?.contains("card")
        ? [[...lists.querySelectorAll(".column")].indexOf(active.closest(".column")), active.dataset.item] : null;
    const before = tops(lists);
    const choose = (item) => setTriggerValue("chosen", item);
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("class", "lines");
    svg.setAttribute("aria-hidden", "true");
    lists.style.setProperty("--places", Math.max(1, ...data.columns.map((column) => column.cards.length)));
    lists.replaceChildren(svg, ...data.columns.map((column) => columnOf(column, data, choose)));
    follow(lists);
    if (focused)
        lists.querySelectorAll(".column")[focused[0]]?.querySelector(`[data-item="${CSS.escape(focused[1])}"]`)?.focus();
    drawLines(lists, svg);
    slide(lists, before);
    lists.sizes?.disconnect(); // of what was drawn here before
    lists.sizes = new ResizeObserver(() => drawLines(lists, svg));
    for (const element of lists.querySelectorAll(".column, ol")) lists.sizes.observe(element);
    return () => lists.sizes.disconnect();
}

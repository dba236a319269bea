"""Draws loss.svg from loss.csv, the trainer's log: `python -m demo.curve`."""

import csv
import math
import pathlib

HERE = pathlib.Path(__file__).parent
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 320, 52, 12, 16, 40
TICKS = [0.1, 0.2, 0.3, 0.5, 1, 2, 3, 5, 8]


def main():
    rows = list(csv.DictReader((HERE / "loss.csv").open()))
    trained = [(int(row["tokens"]) / 1e6, float(row["loss"])) for row in rows]
    held = [(int(row["tokens"]) / 1e6, math.log(float(row["heldout"]))) for row in rows if row["heldout"]]
    most = trained[-1][0]
    low = math.log(min(loss for _, loss in trained + held)) - 0.1
    high = math.log(max(loss for _, loss in trained + held)) + 0.1

    def x(tokens):
        return LEFT + (WIDTH - LEFT - RIGHT) * tokens / most

    def y(loss):
        return TOP + (HEIGHT - TOP - BOTTOM) * (high - math.log(loss)) / (high - low)

    def line(points, colour):
        path = " ".join(f"{x(tokens):.1f},{y(loss):.1f}" for tokens, loss in points)
        return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>'

    def words(at_x, at_y, text, anchor="middle", colour="#333"):
        return f'<text x="{at_x:.1f}" y="{at_y:.1f}" text-anchor="{anchor}" fill="{colour}">{text}</text>'

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
    ]
    for tick in TICKS:
        if low <= math.log(tick) <= high:
            parts.append(f'<path d="M{LEFT} {y(tick):.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
            parts.append(words(LEFT - 6, y(tick) + 4, f"{tick:g}", "end"))
    for tokens in range(0, math.floor(most) + 1, max(1, round(most / 8))):
        parts.append(words(x(tokens), HEIGHT - BOTTOM + 16, f"{tokens}"))
    parts.append(words((LEFT + WIDTH) / 2, HEIGHT - 6, "million tokens"))
    parts += [line(trained, "#1f77b4"), line(held, "#d62728")]
    legend = [("the assistant's tokens in training, nats", "#1f77b4"), ("held out", "#d62728")]
    for row, (text, colour) in enumerate(legend):
        parts.append(words(WIDTH - RIGHT - 8, TOP + 16 * (row + 1), text, "end", colour))
    (HERE / "loss.svg").write_text("\n".join([*parts, "</svg>"]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

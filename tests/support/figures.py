"""What a figure shows."""


def texts(figure):
    """All that is written in a figure that has been drawn."""
    from matplotlib.text import Text

    figure.canvas.draw()
    return [
        text.get_text() for text in figure.findobj(Text) if text.get_visible() and text.get_text()
    ]


def points(axes):
    """The points of each line of a panel that is named, by its name."""
    return {
        line.get_label(): line.get_xydata()
        for line in axes.get_lines()
        if not line.get_label().startswith("_")
    }

"""How pictures look, alike in all of them."""

from deeq_bert.tokenizers.errors import InputError

# Told apart by people who see few colours too (after Okabe and Ito).
COLORS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#E69F00",
    "#7F3C8D",
    "#555555",
)
# Families with Hangul, for names; the first is matplotlib's own, which has none.
_FONTS = ("DejaVu Sans", "Noto Sans CJK KR", "Noto Sans KR", "NanumGothic", "Malgun Gothic")


def prepare_matplotlib() -> None:
    """Imports matplotlib so that it draws without a screen.

    Raises:
      InputError: It is not installed.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise InputError(
            "Drawing needs matplotlib, which is not installed here. Install it with: pip install "
            "-e '.[viz]'"
        ) from error
    matplotlib.use("Agg")
    from matplotlib import font_manager

    installed = set(font_manager.get_font_names())
    matplotlib.rcParams.update(
        {
            "font.family": [font for font in _FONTS if font in installed],
            "font.size": 10,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "grid.color": "#E6E6E6",
            "axes.axisbelow": True,
            "axes.titlesize": 11,
            "axes.titlelocation": "left",
            "savefig.dpi": 150,
            # Text that can be searched and read out.
            "svg.fonttype": "none",
        }
    )


def plain_text(text: str) -> str:
    """Returns a text so that matplotlib takes none of it for a formula, nor hides it."""
    # A dollar sign would begin a formula, and an underline at the start hides a label.
    return f" {text}".replace("$", r"\$")

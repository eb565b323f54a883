"""The one layout of a `.net` file: whole texts, before and after."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from dsl import Source, format_source, parse

EXAMPLES = Path(__file__).parents[2] / "examples"


def formatted(text: str) -> str:
    """The text in its layout, which another pass leaves as it is, and which means the same."""
    once = format_source(Source("a.net", text))
    assert format_source(Source("a.net", once)) == once
    before, after = parse(Source("a.net", text)).file, parse(Source("a.net", once)).file
    assert before is not None
    assert after is not None
    assert before.items == after.items
    return once


def laid_out(before: str, after: str) -> None:
    assert formatted(dedent(before)) == dedent(after).lstrip("\n")


DIGITS = """\
# Recognise 8×8 handwritten digits.
network digits

let width = 16

input  image: float[1, 8, 8]            # channels, height, width
target digit: class(10)

block conv_unit(x, filters, kernel = 3) {
  return x -> conv(filters, kernel = kernel, padding = "same", bias = false)
           -> batch_norm
           -> relu
}

stem   = image -> conv_unit(width)
body   = stem -> repeat(2, conv_unit(width))
merged = relu(stem + body)
logits = merged -> max_pool(2) -> flatten -> dropout(0.25) -> dense(10)

loss   cross_entropy(logits, digit)
metric accuracy(logits, digit)
output probabilities = softmax(logits)

data {
  source = csv("data/digits.csv")
  image  = columns("p0".."p63") / 16
  digit  = column("label")
  split  = random(train = 0.8, validation = 0.1, test = 0.1, seed = 7)
}

train {
  optimizer = adam(0.001)
  schedule  = cosine(warmup = 2)
  batch     = 64
  epochs    = 30
}
"""


def test_the_first_example_of_the_language_is_in_its_layout() -> None:
    assert formatted(DIGITS) == DIGITS


def test_line_ends_blanks_and_redundant_parentheses_make_no_difference() -> None:
    words = DIGITS.partition("# channels, height, width")[2].split()
    assert formatted(" ".join(words)) == formatted("\n".join(words))
    assert formatted("y=(((a+(b*(c)))))") == "y = a + b * c\n"


@pytest.mark.parametrize("path", sorted(EXAMPLES.rglob("*.net")), ids=lambda path: str(path.name))
def test_the_examples_mean_the_same_in_their_layout(path: Path) -> None:
    formatted(path.read_text("utf-8"))


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("(a + b) + c", "a + b + c"),
        ("a + (b + c)", "a + (b + c)"),
        ("a - (b - c)", "a - (b - c)"),
        ("a * (b / c)", "a * (b / c)"),
        ("(a * b) + (c // d)", "a * b + c // d"),
        ("(a + b) * -(c)", "(a + b) * -c"),
        ("-(a + b)", "-(a + b)"),
        ("-(a * b)", "-(a * b)"),
        ("-(-a)", "--a"),
        ("(-a) ^ 2", "(-a)^2"),
        ("-(a ^ 2)", "-a^2"),
        ("(a ^ b) ^ c", "(a^b)^c"),
        ("a ^ (b ^ c)", "a^b^c"),
        ("a ^ (-b)", "a^-b"),
        ("a ^ (b * c)", "a^(b * c)"),
        ("(a -> f) + b", "(a -> f) + b"),
        ("(a + b) -> f", "a + b -> f"),
        ("(a -> f) -> g", "(a -> f) -> g"),
        ("(a .. b) -> f", "a..b -> f"),
        ("a .. (b + c)", "a .. b + c"),
        ("(a .. b) .. c", "(a..b) .. c"),
        ("f((a -> g), k = (b -> h))", "f(a -> g, k = b -> h)"),
        ("f ( x,k=3 )", "f(x, k = 3)"),
        ("[ a,( b ) , [ ] ]", "[a, b, []]"),
        ("W@x+b", "W @ x + b"),
        ("1.50 + 1_000 * 1E-3", "1.50 + 1_000 * 1E-3"),
        (r'"\"a\"\\\tb" + "	c"', r'"\"a\"\\\tb" + "\tc"'),
        ("true", "true"),
    ],
)
def test_expressions(expression: str, expected: str) -> None:
    assert formatted(f"y = {expression}") == f"y = {expected}\n"


def test_consecutive_lines_are_aligned() -> None:
    laid_out(
        """
        let n = 1
        let width = 2
        input x: float[n]
        target digit: class(10)[n]
        parameter W: float[n] = zeros
        parameter bias: float
        y = x
        hidden = y

        z = y
        # alone
        long_name = z
        layer e = relu
        layer encoder = e
        loss mse(y, x)
        metric top = accuracy(y, x)
        output y
        output p = softmax(y)
        train { batch = 1 epochs = 2 }
        """,
        """
        let n     = 1
        let width = 2
        input  x:     float[n]
        target digit: class(10)[n]
        parameter W:    float[n] = zeros
        parameter bias: float
        y      = x
        hidden = y

        z = y
        # alone
        long_name = z
        layer e       = relu
        layer encoder = e
        loss   mse(y, x)
        metric top = accuracy(y, x)
        output y
        output p = softmax(y)
        train {
          batch  = 1
          epochs = 2
        }
        """,
    )


def test_long_lines_are_broken() -> None:
    laid_out(
        """
        wide = image -> convolution(filters, kernel = 3) -> convolution(filters, kernel = 3) -> relu
        wider = image -> convolution(filters, kernel = 3) -> convolution(filters, kernel = 3) -> relu
        args = image -> conv(filters, kernel = kernel, padding = "same", bias = false, dilation = 2, groups = 4) -> relu
        sum = first_long_name * 2 + second_long_name * (third_long_name - fourth_long_name) - fifth_long_name
        list = [1111111111, 2222222222, 3333333333, 4444444444, 5555555555, 6666666666, 7777777777, 8888888888]
        input something_long: float[first_long_name, second_long_name, third_long_name, fourth_long_name]
        block with_many_parameters(x, first_long_name = 3, second_long_name = 4, third_long_name = 5) { return x }
        """,
        """
        wide  = image -> convolution(filters, kernel = 3)
                      -> convolution(filters, kernel = 3)
                      -> relu
        wider = image -> convolution(filters, kernel = 3)
                      -> convolution(filters, kernel = 3)
                      -> relu
        args  = image -> conv(filters, kernel = kernel, padding = "same", bias = false,
                              dilation = 2, groups = 4)
                      -> relu
        sum   = first_long_name * 2
                + second_long_name * (third_long_name - fourth_long_name)
                - fifth_long_name
        list  = [1111111111, 2222222222, 3333333333, 4444444444, 5555555555, 6666666666,
                 7777777777, 8888888888]
        input something_long: float[first_long_name, second_long_name, third_long_name,
                                    fourth_long_name]
        block with_many_parameters(x, first_long_name = 3, second_long_name = 4,
                                   third_long_name = 5) {
          return x
        }
        """,
    )


def test_a_line_has_88_columns() -> None:
    fits = f"y = x -> {'f' * 40} -> {'g' * 35}"
    assert len(fits) == 88
    assert formatted(fits) == f"{fits}\n"
    assert formatted(f"{fits}g") == f"y = x -> {'f' * 40}\n      -> {'g' * 36}\n"
    closed = f"y = f(a, {'g' * 78})"
    assert len(closed) == 88
    assert formatted(closed) == f"{closed}\n"
    assert formatted(f"{closed[:-1]}g)") == f"y = f(a,\n      {'g' * 79})\n"


def test_what_cannot_be_broken_is_left_long() -> None:
    assert formatted(f'y = -("{"s" * 100}" .. x)') == f'y = -("{"s" * 100}"..x)\n'
    assert formatted(f"y = {'f' * 90}({'a' * 90})") == f"y = {'f' * 90}({'a' * 90})\n"


def test_blank_lines() -> None:
    laid_out(
        "\n\n\n# first\n\n\n# second\nlet a = 1\n\n\n\nlet b = 2\ntrain {\n\n\n  batch = 1\n\n\n  # c\n\n\n}\n\n\n",
        """
        # first

        # second
        let a = 1

        let b = 2
        train {
          batch = 1

          # c
        }
        """,
    )


def test_comments_stay_where_they_are() -> None:
    laid_out(
        """
        network   x   # behind
        let l = [1,2, # two
          3, # three
          # own
          4]
        data { # open
          source = csv( # first
             "a", # a
             # own
             "b" # last
             # own last
          ) # after


          # in the section
          image = column("p0")/16 # image
          # the end of the section
        } # closed
        train{}
        export { # nothing
        }
        block f(x, k=3, # a parameter
          j) { # the body
           y = x -> relu # relu
             -> dense(3) # dense
             # own
             -> tanh
           return # result
             ( # open
             y + ((x))) # end
        }
        h = # before the value
          x # behind the head
          -> # behind the arrow
          relu
        total = a # a
          + b * # times
          c # c
        w = - # sign
          3 + f(k = # setting
           3) ^ # power
           4
        empty = [ # nothing
        ]
        # last""",
        """
        network x                               # behind
        let l = [1, 2,                          # two
                 3,                             # three
                 # own
                 4]
        data {                                  # open
          source = csv(                         # first
                       "a",                     # a
                       # own
                       "b"                      # last
                       # own last
                       )                        # after

          # in the section
          image = column("p0") / 16             # image
          # the end of the section
        }                                       # closed
        train {}
        export {                                # nothing
        }
        block f(x, k = 3,                       # a parameter
                j) {                            # the body
          y = x -> relu                         # relu
                -> dense(3)                     # dense
                # own
                -> tanh
          # result
          # open
          return y + x                          # end
        }
        h     =                                 # before the value
                x                               # behind the head
                  # behind the arrow
                  -> relu
        total = a                               # a
                + b                             # times
                  * c                           # c
        w     = -                               # sign
                 3
                + f(k =                         # setting
                        3)^                     # power
                           4
        empty = [                               # nothing
                 ]
        # last
        """,
    )


def test_comments_between_the_words_of_an_item() -> None:
    laid_out(
        """
        input # a
          x # b
          : # c
          float # d
          [ # e
          3 # f
          ] # g
        target t: class( # a
          10 # b
          ) # c
        parameter W # a
          : float[3] # b
          = # c
          zeros # d
        loss # a
          E # b
          = # c
          mse(x, t) # d
        output # a
          p # b
        import # a
          "b.net" # b
        train # a
        { # b
          batch # c
          = # d
          3 # e
        } # f
        """,
        """
        input  x:                               # a
                  # b
                  # c
                  float[                        # d
                        # e
                        3                       # f
                        ]                       # g
        target t: class(                        # a
                        10                      # b
                        )                       # c
        parameter W:                            # a
                     float[3] =                 # b
                                # c
                                zeros           # d
        loss                                    # a
               # b
               # c
               E = mse(x, t)                    # d
        output                                  # a
               p                                # b
        import                                  # a
               "b.net"                          # b
        train {                                 # a
          # b
          batch =                               # c
                  # d
                  3                             # e
        }                                       # f
        """,
    )


def test_a_long_line_and_its_comment_stay_together() -> None:
    assert formatted(f"y = {'f' * 50}#c   \n") == f"y = {'f' * 50}  #c\n"


def test_a_text_with_mistakes_is_not_formatted() -> None:
    with pytest.raises(ValueError, match="`\\(` is never closed"):
        format_source(Source("a.net", "y = f("))
    with pytest.raises(ValueError, match="the file declares nothing"):
        format_source(Source("a.net", "# nothing"))


def test_the_deepest_trees_are_formatted() -> None:
    nested = f"{'f(k = ' * 100}x{')' * 100}"
    assert formatted(f"y = {nested}") == f"y = {nested}\n"
    assert formatted(f"y = {'-' * 100}x  # c") == f"y = {'-' * 100}x  # c\n"
    assert formatted(f"y = {'[' * 100}x # c\n{']' * 100}").splitlines() == [
        f"y = {'[' * 100}x  # c",
        f"{' ' * 104}{']' * 100}",
    ]

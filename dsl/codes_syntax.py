"""What the parser says of a text that is no `.net` file: one function for each kind of mistake (see `dsl.codes`).

`dsl.syntax` finds out which of them it is.
"""

from __future__ import annotations

from dsl.codes import Message, error
from dsl.diagnostics import Label
from dsl.source import Span


@error
def syntax(at: Span, sentence: str, help: str | None) -> Message:
    """A word or sign stands where it cannot.

    The message says what was expected there. The page of the language lists its items; `tflbp fmt` writes a file in the
    usual layout, which often shows a bracket that is not where it was meant.

    ```net
    network digits

    input image float[1, 8, 8]
    hidden = image -> dense(16 bias = false)
    output hidden
    ```
    ```text
    error[syntax]: `:` and a type are missing after `image`
     --> example.net:3:12
      |
    3 | input image float[1, 8, 8]
      |            ^
      = help: write `input image: float[3]`

    error[syntax]: a comma is missing before `bias`
     --> example.net:4:27
      |
    4 | hidden = image -> dense(16 bias = false)
      |                           ^
    ```
    """
    return Message(sentence, (Label(at),), help=help)


@error
def unknown_item(at: Span, found: str, close: str | None) -> Message:
    """A line starts with a word that starts no item.

    Lines start with one of the words `network`, `import`, `let`, `input`, `target`, `parameter`, `block`, `layer`,
    `loss`, `metric`, `output`, `data`, `train` and `export`, or with a name: `hidden = image -> dense(16)`.

    ```net
    network digits

    inptu image: float[64]
    output logits = image -> dense(10)
    ```
    ```text
    error[unknown-item]: `inptu` starts nothing that a `.net` file holds
     --> example.net:3:1
      |
    3 | inptu image: float[64]
      | ^^^^^
      = help: did you mean `input`?
    ```
    """
    return Message(
        f"{found} starts nothing that a `.net` file holds",
        (Label(at),),
        help=f"did you mean `{close}`?" if close is not None else None,
    )


@error
def reserved_word(at: Span, word: str) -> Message:
    """A word of the language is used as a name.

    The words that start an item, and `return`, `true` and `false`, cannot be names. A setting may be named by one of
    them: `random(train = 0.8)`. Other uses of the word as a name are not reported again.

    ```net
    network digits

    input data: float[64]
    output logits = data -> dense(10)
    ```
    ```text
    error[reserved-word]: `data` is a word of the language, and cannot be a name
     --> example.net:3:7
      |
    3 | input data: float[64]
      |       ^^^^
      = help: choose another name, such as `data_1`
    ```
    """
    return Message(
        f"`{word}` is a word of the language, and cannot be a name",
        (Label(at),),
        help=f"choose another name, such as `{word}_1`",
    )


@error
def unclosed(bracket: Span, closing: str, found: Span | None) -> Message:
    """A bracket is opened and not closed, or closed by another one.

    ```net
    network digits

    input image: float[64]
    hidden = image -> dense(16
    output logits = hidden -> dense(10)
    ```
    ```text
    error[unclosed]: `(` is never closed
     --> example.net:4:24
      |
    4 | hidden = image -> dense(16
      |                        ^
      = help: write `)` where it ends
    ```
    """
    if found is None:
        return Message(f"`{bracket.text}` is never closed", (Label(bracket),), help=f"write `{closing}` where it ends")
    return Message(
        f"`{bracket.text}` is closed by `{found.text}`",
        (Label(found, "closed here"), Label(bracket, "opened here")),
        help=f"close it by `{closing}`",
    )


@error
def unopened(bracket: Span) -> Message:
    """A bracket is closed that was not opened.

    ```net
    network digits

    input image: float[64]
    output logits = image -> dense(10))
    ```
    ```text
    error[unopened]: this `)` closes nothing
     --> example.net:4:35
      |
    4 | output logits = image -> dense(10))
      |                                   ^
      = help: remove it
    ```
    """
    return Message(f"this `{bracket.text}` closes nothing", (Label(bracket),), help="remove it")


@error
def foreign_spelling(at: Span, meant: str) -> Message:
    """Something is written as in another language.

    Powers are `^`, stages are joined by `->`, names are bound by `=`, strings stand in double quotes, truth values are
    `true` and `false`, and no line needs a semicolon.

    ```net
    network digits

    let width = 2 ** 4;

    input image: float[64]
    output hidden = image -> dense(width, bias = False)
    ```
    ```text
    error[foreign-spelling]: `**` is written another way here
     --> example.net:3:15
      |
    3 | let width = 2 ** 4;
      |               ^^
      = help: write `^`

    error[foreign-spelling]: `;` is not needed
     --> example.net:3:19
      |
    3 | let width = 2 ** 4;
      |                   ^
      = help: remove it

    error[foreign-spelling]: `False` is written another way here
     --> example.net:6:46
      |
    6 | output hidden = image -> dense(width, bias = False)
      |                                              ^^^^^
      = help: write `false`
    ```
    """
    if not meant:
        return Message(f"`{at.text}` is not needed", (Label(at),), help="remove it")
    return Message(f"`{_shown(at.text)}` is written another way here", (Label(at),), help=f"write `{_shown(meant)}`")


@error
def bad_character(at: Span, name: str, help: str | None) -> Message:
    """A character that means nothing here.

    Outside of strings and comments there are letters, digits and the signs `= : , . ( ) [ ] { } + - * / @ ^`.

    ```net
    network digits

    input image: float[64]
    output half = image % 2
    ```
    ```text
    error[bad-character]: `%` means nothing here
     --> example.net:4:21
      |
    4 | output half = image % 2
      |                     ^
    ```
    """
    return Message(f"{name} means nothing here", (Label(at),), help=help)


@error
def bad_number(at: Span, what: str, help: str | None) -> Message:
    """A number is written in a way that cannot be read.

    Numbers are written in digits, with a point and digits behind it, and an exponent: `64`, `0.5`, `1e-3`, `1_000_000`.

    ```net
    network digits

    input image: float[64]
    output hidden = image -> dense(16) -> dropout(.5)
    ```
    ```text
    error[bad-number]: `.5` is no number
     --> example.net:4:47
      |
    4 | output hidden = image -> dense(16) -> dropout(.5)
      |                                               ^^
      = help: write `0.5`
    ```
    """
    return Message(f"`{_shown(at.text)}` {what}", (Label(at),), help=help)


@error
def bad_string(at: Span, what: str, help: str) -> Message:
    r"""A string has no end on its line, or holds what cannot stand in one.

    Strings stand in double quotes, on one line. Inside, `\"` is a quote, `\\` a backslash, `\n` a line end, `\t` a tab.

    ```net
    data {
      source = csv("C:\data\digits.csv")
      image = columns("p0".."p63)
    }
    ```
    ```text
    error[bad-string]: `\d` stands for no character
     --> example.net:2:19
      |
    2 |   source = csv("C:\data\digits.csv")
      |                   ^^
      = help: write `\\` for a backslash, or `/` between folders

    error[bad-string]: this string has no end
     --> example.net:3:25
      |
    3 |   image = columns("p0".."p63)
      |                         ^^^^^
      = help: put `"` where it ends
    ```
    """
    return Message(what, (Label(at),), help=help)


@error
def unknown_type(at: Span, kind: str, close: str | None) -> Message:
    """An input, a target or a parameter has a type that there is not.

    ```net
    network digits

    input image: float32[64]
    output logits = image -> dense(10)
    ```
    ```text
    error[unknown-type]: there is no type `float32`: types are float, class, token and flag
     --> example.net:3:14
      |
    3 | input image: float32[64]
      |              ^^^^^^^
      = help: did you mean `float`?
    ```
    """
    return Message(
        f"there is no type `{kind}`: types are float, class, token and flag",
        (Label(at),),
        help=f"did you mean `{close}`?" if close is not None else None,
    )


@error
def empty_file(at: Span) -> Message:
    """A file holds nothing, or nothing but comments.

    ```net
    # To be written.
    ```
    ```text
    error[empty-file]: the file declares nothing
     --> example.net:1:1
      |
    1 | # To be written.
      | ^
      = help: a network starts with its name, `network digits`, and what goes in, `input image: float[64]`
    ```
    """
    return Message(
        "the file declares nothing",
        (Label(at),),
        help="a network starts with its name, `network digits`, and what goes in, `input image: float[64]`",
    )


@error
def fann_file(at: Span) -> Message:
    """A file of the Fast Artificial Neural Network library, which ends in `.net` too.

    FANN writes a trained network's weights as a list of numbers. This language declares networks, so nothing can be
    made of that file here.

    ```net
    FANN_FLO_2.1
    num_layers=3
    ```
    ```text
    error[fann-file]: this is a network of the FANN library, and no declaration in the `.net` language
     --> example.net:1:1
      |
    1 | FANN_FLO_2.1
      | ^^^^^^^^^
      = help: declare the same layers in a new file: `network xor`, `input x: float[2]`, …
    ```
    """
    return Message(
        "this is a network of the FANN library, and no declaration in the `.net` language",
        (Label(at),),
        help="declare the same layers in a new file: `network xor`, `input x: float[2]`, …",
    )


@error
def text_too_large(at: Span, what: str, limit: int) -> Message:
    """A text is longer than any network that people write.

    It is refused before time and memory are spent on it.
    """
    return Message(f"this text has more than {limit:,} {what}", (Label(at),), help="is it a `.net` file?")


@error
def unreadable_file(at: Span, what: str, help: str | None) -> Message:
    """A file cannot be read as text.

    It does not exist, is a folder, is binary, or is not in UTF-8.
    """
    return Message(f"`{at.source.name}` {what}", (Label(at),), help=help)


def _shown(text: str) -> str:
    """A piece of the file that fits into a sentence."""
    return text if len(text) <= 40 else f"{text[:39]}…"

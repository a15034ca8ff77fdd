"""What the reader can say: its characters, colours and sizes. Training, export and measuring all read this file."""

# Size of the straightened plate that the net takes, and the most characters a text has (`WJ07X0230`).
HEIGHT, WIDTH = 64, 192
SLOTS = 9

DIGITS = "0123456789"
# No I: no plate of China has one. O stands only as the second character, on older police plates.
LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
PROVINCES = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"
MARKS = "警学挂港澳使领应急民航临超试"
SYMBOLS = DIGITS + LETTERS + "O" + PROVINCES + MARKS
# Output 0 of a slot says that the text has ended; output k is SYMBOLS[k - 1].
INDEX = {symbol: k + 1 for k, symbol in enumerate(SYMBOLS)}
END = 0

COLOURS = ("blue", "yellow", "green", "yellow-green", "white", "black", "other")


def encode(text):
    """A text as `SLOTS` numbers."""
    numbers = [INDEX[symbol] for symbol in text]
    return numbers + [END] * (SLOTS - len(numbers))


def decode(numbers):
    """The text up to the first end."""
    text = ""
    for number in numbers:
        if number == END:
            break
        text += SYMBOLS[number - 1]
    return text

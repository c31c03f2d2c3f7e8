"""Which words a figure shows: findings and their places, never function words, no more than there is room for."""

from xpronet.show.shown_words import telling_words

TEXT = "no edema is seen . there is a small left pleural effusion . no effusion on the right . the left base"
TOKENS = TEXT.split()


def test_findings_and_the_places_of_stated_ones() -> None:
    shown = [TOKENS[number] for number in telling_words(TOKENS)]
    # The effusion that is denied is another claim than the one that is stated; the side of a denial says nothing.
    assert shown == ["edema", "left", "pleural", "effusion", "effusion"]


def test_what_is_stated_comes_first_where_room_is_short() -> None:
    assert [TOKENS[number] for number in telling_words(TOKENS, most=3)] == ["left", "pleural", "effusion"]
    assert telling_words(["normal", "."]) == ()

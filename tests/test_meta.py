"""Each page says what it is about and where it lives."""

from types import SimpleNamespace

import pytest
from conftest import content_pages

from web import meta


def described(soup):
    (tag,) = soup.select('meta[name="description"]')
    return tag["content"]


def test_each_page_with_text_has_a_description_of_its_own(site, soups):
    texts = [described(soups[page]) for page in content_pages(site)]
    assert len(set(texts)) == len(texts)
    for text in texts:
        assert 60 <= len(text) <= meta.LONGEST + 2 and not text.startswith("Presumes")


def test_a_chapter_is_described_by_its_promise(site, soups):
    page = site / "chapters/21-one-dimension.html"
    text = described(soups[page]).removesuffix(" …")
    assert text.startswith("Convolution is one sum.")
    assert text in " ".join(soups[page].select_one("main article").get_text().split())


def test_search_and_index_have_one_description_too(soups):
    for page, soup in soups.items():
        assert described(soup)[0].isalnum(), page.name


@pytest.mark.parametrize(
    ("baseurl", "repository", "address"),
    [
        ("", "", ""),
        ("", "file:///somewhere/course", ""),
        ("", "https://github.com/Owner-1/cnn.course", "https://owner-1.github.io/cnn.course/"),
        ("https://cnn.example.org", "https://github.com/a/b", "https://cnn.example.org/"),
        ("https://cnn.example.org/", "", "https://cnn.example.org/"),
    ],
)
def test_the_address_comes_from_the_repository_unless_another_is_given(
    baseurl, repository, address
):
    options = {"repository_url": repository}
    config = SimpleNamespace(html_baseurl=baseurl, html_theme_options=options)
    assert meta.home(config) == address

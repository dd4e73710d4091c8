"""Two manifests compared by their texts first: the same answer as when all of both is read."""

from hypothesis import given
from hypothesis import strategies as st

from lazydata.errors import ManifestInvalid
from lazydata.workspace.git_outdated import _moved, _read_whole

ITEMS = st.lists(
    st.tuples(
        st.sampled_from(["a.csv", "'a.csv'", "b.csv", '"c d.csv"', "c d.csv", "e/"]),
        st.sampled_from("01234"),
        st.sampled_from(["", "    size: 1\n", "  # why\n", "\n", "    usage:\n      - x.py\n"]),
    ),
    max_size=7,
)


@st.composite
def texts(draw):
    indent = draw(st.sampled_from(["  ", "  ", "  ", ""]))
    items = "".join(
        f"{indent}- path: {path}\n{indent}  hash: blake3:{digit * 64}\n"
        + more.replace("    ", indent + "  ")
        for path, digit, more in draw(ITEMS)
    )
    remotes = "remotes:\n  origin:\n    url: file:///x\n"
    before, after = draw(st.sampled_from([("", ""), (remotes, ""), ("", remotes)]))
    text = f"version: 2\n{before}files:\n{items}{after}"
    return text.replace("\n", "\r\n") if draw(st.integers(0, 9)) == 9 else text


@given(texts(), texts())
def test_comparing_texts_first_changes_no_answer(before, now):
    def found(compare):
        try:
            return {entry.path: entry for entry in compare()}
        except ManifestInvalid as error:
            return str(error)

    quick = found(lambda: _moved(before.encode(), now.encode(), "lazydata.yml"))
    assert quick == found(lambda: _read_whole(before, now, "lazydata.yml"))

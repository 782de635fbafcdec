"""Tables as people's programs write them read the same; paths that name nothing say why."""

from __future__ import annotations

from pathlib import Path

import pytest

from animate.cli.arguments import Formatter
from animate.errors import AnimateError
from animate.inference.batch import read_jobs
from animate.media.files import absent, check_place
from animate.media.tables import Row, read_table

ROWS = "photo,clip,out\r\nä.jpg,b c.mp4,x.mp4\r\n"


@pytest.mark.parametrize("by", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
def test_a_table_reads_the_same(by: str, encoding: str, end: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(ROWS.replace(",", by).replace("\r\n", end).encode(encoding))
    columns, rows = read_table(path, "use columns")
    assert columns == ["photo", "clip", "out"]
    assert rows == [Row(2, {"photo": "ä.jpg", "clip": "b c.mp4", "out": "x.mp4"})]


@pytest.mark.parametrize(
    ("text", "photo"),
    [
        ('photo,clip\n"a,b.jpg", c.mp4\n', "a,b.jpg"),
        ("sep=;\nphoto;clip\na,b.jpg;c.mp4\n", "a,b.jpg"),
        ("photo , clip,\n a.jpg , c.mp4,\n", "a.jpg"),
    ],
)
def test_quotes_spaces_and_trailing_separators(text: str, photo: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(text)
    assert read_table(tmp_path / "t.csv", "")[1][0].cells["photo"] == photo


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"photo,clip\nm\xfc.jpg,c\n", "neither UTF-8 nor UTF-16"),
        (b"photo,clip\na\0.jpg,c\n", "NUL"),
        (b"photo,clip\na,b,c\n", "line 2 .* more cells"),
        (b'photo,clip\n"a,b\n', "as a CSV"),
        (b"photo,out,clip, out\na,b,c,d\n", "two columns out"),
    ],
)
def test_what_is_no_table_is_said_in_a_line(data: bytes, why: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(data)
    with pytest.raises(AnimateError, match=why):
        read_table(tmp_path / "t.csv", "use columns")


@pytest.mark.parametrize("by", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
@pytest.mark.parametrize("first", ["", "sep=%\n", "\n%%\n"])
def test_rows_know_their_line_and_empty_ones_are_left_out(
    by: str, end: str, first: str, tmp_path: Path
) -> None:
    text = f'{first}photo%clip%out%\n"a\nb"%c%d\n\n%%%\n" "%%\ne%f\n\n'
    lines = [line for line, name in enumerate(text.split("\n"), 1) if name.startswith(('"a', "e"))]
    (tmp_path / "t.csv").write_bytes(text.replace("%", by).replace("\n", end).encode())
    columns, rows = read_table(tmp_path / "t.csv", "")
    assert columns == ["photo", "clip", "out", ""]
    assert [row.line for row in rows] == lines
    assert [row.cells["clip"] for row in rows] == ["c", "f"]


def test_a_batch_names_the_line_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("photo,clip,out\n\na,c,../b.mp4\n,,\n,c,\n")
    with pytest.raises(AnimateError, match=r"line 5 of .*t\.csv names no photo"):
        read_jobs(tmp_path / "t.csv", tmp_path)
    (tmp_path / "t.csv").write_text("photo,clip,out\n\na,c,../b.mp4\n,,\n")
    (job,) = read_jobs(tmp_path / "t.csv", tmp_path)
    assert job.wrong.startswith(f"line 3 of {tmp_path / 't.csv'}: ../b.mp4 is not in")


def test_results_stay_in_the_batch_s_folder(tmp_path: Path) -> None:
    outs = ["../a.mp4", "b/../../c.mp4", "/d.mp4", "e.mp4", "f/../g.mp4", str(tmp_path / "h.mp4")]
    (tmp_path / "t.csv").write_text("photo,clip,out\n" + "".join(f"p,c,{o}\n" for o in outs))
    jobs = read_jobs(tmp_path / "t.csv", tmp_path)
    assert [bool(job.wrong) for job in jobs] == [True, True, True, False, False, False]
    assert all("inside it" in job.wrong for job in jobs if job.wrong)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("https://example.org/a.mp4", "^https://example.org/a.mp4 is an address: download"),
        ("~/a.mp4", "write the home folder in full"),
        ("a\0b", "NUL"),
        ("nothing", "check the path"),
    ],
)
def test_a_path_that_names_nothing_says_why(text: str, why: str) -> None:
    with pytest.raises(AnimateError, match=why):
        raise AnimateError(absent(Path(text)))


def test_a_near_name_is_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a b.jpg").touch()
    for text in ("a b.jpg ", '"a b.jpg"', "a\\ b.jpg"):
        assert absent(Path(text)).endswith("did you mean a b.jpg?")


@pytest.mark.parametrize("name", ["s3://b/x.mp4", "x" * 300 + ".mp4", "a\0.mp4", "file/x.mp4"])
def test_a_place_that_can_t_be_is_refused_in_a_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    with pytest.raises(AnimateError, match=r"address|too long|NUL|is a file") as caught:
        check_place(Path(name))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("columns", ["1", "0", "-3", "many", "31"])
def test_help_fits_any_terminal(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from animate.cli.entry import parser

    monkeypatch.setenv("COLUMNS", columns)
    assert Formatter("animate")._width >= 50
    with pytest.raises(SystemExit):
        parser().parse_args(["run", "--help"])

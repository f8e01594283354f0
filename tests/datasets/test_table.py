"""The table of samples: what is read, what is named as wrong, and how splits are assigned."""

from collections import Counter

import pytest
from openpyxl import Workbook

from hsichem import InputError
from hsichem.datasets.table import one_test_group, read_table


def table(folder, text, references=None):
    (folder / "references.csv").write_bytes(text.encode() if isinstance(text, str) else text)
    return read_table(folder, references)


@pytest.mark.parametrize(
    "text",
    [
        "id,split,Animal,fat (% w/w),water,note\nb 1,0,pig7,30.5,50,wet\nb2,3,pig8,4e1,45,\n",
        "\ufeffID;Split;animal;fat [% w/w];water;note\r\nb 1;0;pig7;30.5;50;wet\r\n\r\nb2;3;pig8;40;45;\r\n;;;;;\r\n",
        "id\tsplit\tanimal\tfat (% w/w)\twater\tnote\t\nb 1\t0\tpig7\t30.5\t50\twet\nb2\t3\tpig8\t40\t45\n",
        'id,split,animal,fat (% w/w),water,note\n"b 1",0,pig7, 30.5 ,50,"wet, cold"\nb2,3,pig8,40,45,x',
    ],
    ids=["plain", "semicolons, BOM, blank lines", "tabs, a short line", "quotes"],
)
def test_tables_as_programs_write_them(tmp_path, text):
    found = table(tmp_path, text)
    assert found.problems == [] and found.ignored == ["note"]
    assert found.units == {"fat": "% w/w", "water": None}
    first, second = found.rows
    assert (first.id, first.split, first.group, first.values) == ("b 1", 0, "pig7", {"fat": 30.5, "water": 50})
    assert (second.id, second.split, second.group, second.values) == ("b2", 3, "pig8", {"fat": 40, "water": 45})


def test_a_workbook(tmp_path):
    book = Workbook()
    for row in [["id", "split", "fat (%)"], [12, 0, 30.5], [None, None, None], ["b2", 1, 40]]:
        book.active.append(row)
    book.save(tmp_path / "references.xlsx")
    found = read_table(tmp_path)
    assert found.problems == [] and found.units == {"fat": "%"}
    assert [(row.line, row.id, row.split, row.values["fat"]) for row in found.rows] == [
        (2, "12", 0, 30.5),
        (4, "b2", 1, 40),
    ]
    book.create_sheet("more")
    book.save(tmp_path / "references.xlsx")
    with pytest.raises(InputError, match="2 sheets; expected one"):
        read_table(tmp_path)
    (tmp_path / "references.xlsx").write_text("no workbook")
    with pytest.raises(InputError, match="cannot be read as a workbook"):
        read_table(tmp_path)
    (tmp_path / "references.csv").touch()
    with pytest.raises(InputError, match=r"references\.csv: there is references\.xlsx, too; keep one"):
        read_table(tmp_path)


def test_every_line_at_fault_is_named(tmp_path):
    lines = ["id,split,animal,fat", "a,0,p,10", "a,1,p,11", ",1,p,12", "../b,1,p,13", "c,6,p,14", "d,1,,15", "e,1,p,"]
    lines += ["f,1,p,n.a.", "g,1,p,nan", 'h,1,p,"1,5"', "i,1,p,1_000", "j,one,p,x", "k,2,q,16"]
    found = table(tmp_path, "\n".join(lines))
    assert [row.id for row in found.rows] == ["a", "k"] and found.ids[:4] == ["a", "a", "", "../b"]
    expected = ["3: id 'a' is given twice, first in line 2", "4: id '' is missing", "5: id '../b'", "6: split is '6'"]
    expected += [
        "7: no animal",
        "8: no value of fat",
        "9: fat is 'n.a.'",
        "10: fat is 'nan'",
        "11: fat is '1,5'; use a decimal point",
    ]
    expected += ["12: fat is '1_000'", "13: fat is 'x'", "13: split is 'one'"]
    for problem, words in zip(found.problems, expected, strict=True):
        assert f"references.csv, line {words}" in problem


@pytest.mark.parametrize("name", ["..", ".", ".hidden", "a/b", "a\\b", "C:x", "a ", "a.", "a\nb", "-a", "con*"])
def test_an_id_is_a_plain_name(tmp_path, name):
    found = table(tmp_path, f'id,fat\n"{name}x"\n"{name}",10\n' if name == "a " else f'id,fat\n"{name}",10\n')
    if name != "a ":  # blanks around a cell are cut off
        assert "no plain folder name" in found.problems[0] and found.rows == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("\n,,\n", "empty"),
        ("name,fat\nb1,3\n", "no column 'id'"),
        ("id,fat,fat (%)\nb1,3,4\n", "two columns are called 'fat'"),
        ("id,fat\nb1,3,5\n", "line 2: more cells than the 2 headings"),
        ("id,fat\nb\u00e41,3\n".encode("latin-1"), 'save it again as "CSV UTF-8"'),
        ("id,fat\n" + "b" * 200_000 + ",3\n", "cannot be read"),
    ],
)
def test_a_table_that_cannot_be_read(tmp_path, text, message):
    with pytest.raises(InputError, match=r"references\.csv") as error:
        table(tmp_path, text)
    assert message in str(error.value)


GERMAN = "id;split;fett (%);wasser (% w/w)\na;0;13,3;70\nb;1;14,0;71,5\nc;2;15,25;68,1\n"


def test_decimal_commas_and_units_in_every_row_are_faults_and_no_reason_to_drop_the_column(tmp_path):
    found = table(tmp_path, GERMAN)
    assert list(found.units) == ["fett", "wasser"] and found.ignored == [] and found.rows == []
    assert "line 2: fett is '13,3'; use a decimal point" in found.problems[0] and "xlsx" in found.problems[0]
    found = table(tmp_path, "id,fat,note\na,13.3 %,fresh\nb,14 % w/w,3 days old\nc,2.5 g/kg,old\n")
    assert list(found.units) == ["fat"] and found.ignored == ["note"]
    assert "line 2: fat is '13.3 %'; the unit belongs into the heading, '(%)'" in found.problems[0]
    assert "'(% w/w)'" in found.problems[1] and "'(g/kg)'" in found.problems[2]


def test_names_that_look_alike_are_alike(tmp_path):
    composed, decomposed = "K\u00fcken 1", "Ku\u0308ken 1"
    found = table(tmp_path, f"id,animal,fat\n{decomposed},M\u00fc,1\nb,Mu\u0308,2\n")
    assert [row.id for row in found.rows] == [composed, "b"] and found.problems == []
    assert found.rows[0].group == found.rows[1].group
    found = table(tmp_path, f"id,fat\n{decomposed},1\n{composed},2\n")
    assert "given twice" in found.problems[0]


def test_the_characters_of_a_name_are_listed(tmp_path):
    (problem,) = table(tmp_path, "id,fat\na/b,1\n").problems
    assert "letters, digits, blanks and . _ + - ( )" in problem


@pytest.mark.parametrize("name", ["References.CSV", "references.csv.csv", "Referenzen.xlsx", "refs.ods"])
def test_a_table_of_another_name_is_named(tmp_path, name):
    (tmp_path / name).write_text("id,fat\n")
    (tmp_path / "~$lock.xlsx").touch()
    with pytest.raises(InputError, match=rf"references\.csv: missing, .* Is it {name}\? Rename it"):
        read_table(tmp_path)


def test_of_several_tables_those_of_a_like_name_are_named(tmp_path):
    for name in ("Reference.csv", "weights.csv"):
        (tmp_path / name).touch()
    with pytest.raises(InputError, match=r"Is it Reference\.csv\? Rename"):
        read_table(tmp_path)


def test_the_folder_above_is_told_from_the_one_with_the_table(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "references.csv").touch()
    with pytest.raises(InputError, match="has no references table, but its subfolder mine has; give that folder"):
        read_table(tmp_path)


def test_asked_for_columns_must_be_there(tmp_path):
    with pytest.raises(InputError, match="no column 'water'; found id, fat"):
        table(tmp_path, "id,fat\nb1,3\n", {"fat": "%", "water": "%"})
    assert "no value of note" not in "".join(table(tmp_path, "id,fat,note\nb1,3,\n", {"fat": "%"}).problems)


def test_assigned_splits_keep_groups_whole_and_do_not_depend_on_the_order(tmp_path):
    lines = [f"s{k},pig{k // 3},{k}" for k in range(90)]
    found = table(tmp_path, "\n".join(["id,animal,fat", *lines]))
    splits = found.splits()
    by_group = {}
    for row, split in zip(found.rows, splits, strict=True):
        by_group.setdefault(row.group, set()).add(split)
    assert all(len(found) == 1 for found in by_group.values())
    assert Counter(splits) == {0: 30} | dict.fromkeys(range(1, 6), 12)
    turned = table(tmp_path, "\n".join(["id,animal,fat", *reversed(lines)]))
    assert {r.id: s for r, s in zip(turned.rows, turned.splits(), strict=True)} == {
        r.id: s for r, s in zip(found.rows, splits, strict=True)
    }
    assert turned.splits(seed=1) != turned.splits()


@pytest.mark.parametrize(("groups", "sizes"), [(6, [2, 2, 2]), (9, [3, 2, 2, 2]), (15, [5, 2, 2, 2, 2, 2])])
def test_every_fold_has_two_groups_at_least(tmp_path, groups, sizes):
    splits = table(tmp_path, "id,fat\n" + "".join(f"s{k},{k}\n" for k in range(groups))).splits()
    assert [splits.count(split) for split in range(max(splits) + 1)] == sizes


def test_fewer_than_six_groups_are_too_few_for_splits(tmp_path):
    with pytest.raises(InputError, match=r"found 5\. Add samples"):
        table(tmp_path, "id,fat\n" + "".join(f"s{k},{k}\n" for k in range(5))).splits()


@pytest.mark.parametrize(
    ("groups", "splits", "named"),
    [("aab", [0, 0, 1], True), ("aab", [1, 1, 0], True), ("aab", [0, 1, 0], False), ("ab", [1, 2], False)],
)
def test_a_test_set_of_one_group_is_named(groups, splits, named):
    problem = one_test_group(list(groups), splits)
    assert (problem is not None) == named
    assert not named or f"of one group, '{groups[splits.index(0)]}'" in problem

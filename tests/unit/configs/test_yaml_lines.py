"""Every problem of a YAML file names its file, line and key, and nothing but ConfigError comes out."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import Field

from configs.yaml_lines import Checked, read_model, read_yaml
from station.errors import ConfigError


class Part(Checked):
    max_kw: float = 1.0
    steps: int = 0


class Whole(Checked):
    parts: tuple[Part, ...]
    one: Part | None = None
    names: dict[int, str] = Field(default_factory=dict)
    named: dict[str, Part] = Field(default_factory=dict)


def refusal(folder: Path, content: str | bytes) -> ConfigError:
    file = folder / "file.yaml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError) as caught:
        read_model(file, Whole)
    assert caught.value.file == str(file)
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("content", "line", "key", "problem"),
    [
        ("parts:\n- max_kw: 1\n  max_w: 2\n", 3, "parts[0].max_w", "did you mean 'max_kw'"),
        ("parts: []\nnamed:\n  a:\n    mx_kw: 1\n", 4, "named.a.mx_kw", "did you mean 'max_kw'"),
        ("parts:\n- max_kw: '7'\n", 2, "parts[0].max_kw", "a number in kW is expected"),
        ("parts:\n- max_kw: 7 kW\n", 2, "parts[0].max_kw", "the unit is in the key"),
        ("parts:\n- max_kw: true\n", 2, "parts[0].max_kw", "a number in kW is expected, not true"),
        ("parts:\n- max_kw: nan\n", 2, "parts[0].max_kw", "a number in kW is expected"),
        ("parts:\n- max_kw: .nan\n", 2, "parts[0].max_kw", "a finite number"),
        ("parts:\n- max_kw: -.inf\n", 2, "parts[0].max_kw", "a finite number"),
        ("parts:\n- max_kw: 1e999\n", 2, "parts[0].max_kw", "a finite number"),
        ("parts:\n- max_kw:\n", 2, "parts[0].max_kw", "not nothing"),
        ("parts:\n- steps: 1.5\n", 2, "parts[0].steps", "a whole number is expected"),
        ("parts: []\n\none: 5\n", 3, "one", "a group of keys is expected"),
        ("parts: 5\n", 1, "parts", "a list is expected"),
        ("parts: []\none: {}\nparts: []\n", 3, "parts", "given twice; first on line 1"),
        ("parts:\n- {max_kw: 1, max_kw: 2}\n", 2, "parts[0].max_kw", "given twice"),
        ("one: {}\n", 1, "parts", "is missing"),
        ("parts: []\nnames: {a: b}\n", 2, "names.a", "a whole number is expected"),
        ("parts: &a [*a]\n", 1, "parts[0]", "an alias refers to a group that holds it"),
        ("parts: []\none:\n  <<: {max_kw: 1}\n", 3, "one", "merging"),
        ("parts: !secret 5\n", 1, "parts", "no meaning here"),
        ("parts: [\n", 2, "", "is not valid YAML"),
        ("parts: []\n---\nparts: []\n", 2, "", "is not valid YAML"),
        ("- 1\n", 1, "", "must hold keys and values"),
        ("", 0, "", "is empty"),
        ("# nothing\n", 0, "", "is empty"),
        ("parts: []\nx: \0\n", 2, "", "a character that is not text"),
        (b"parts: []\none: \xff\n", 2, "", "is not UTF-8 text"),
        ("parts: " + "[" * 5000, 0, "", "nested too deeply"),
    ],
)
def test_a_problem_names_its_line_and_key(
    tmp_path: Path, content: str | bytes, line: int, key: str, problem: str
) -> None:
    error = refusal(tmp_path, content)
    assert (error.line, error.key) == (line, key)
    assert problem in error.problem


def test_a_misspelt_key_is_named_before_the_key_that_it_leaves_missing(tmp_path: Path) -> None:
    assert "did you mean 'parts'" in refusal(tmp_path, "one: {}\npart: []\n").problem


@pytest.mark.parametrize("name", [".", "nowhere.yaml", "nul\0.yaml"])
def test_what_is_no_file_is_refused_alike(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError):
        read_yaml(tmp_path / name)


def test_good_files_are_read_with_their_lines(tmp_path: Path) -> None:
    file = tmp_path / "good.yaml"
    file.write_text("parts:\n- max_kw: 1e2\n- {max_kw: 2, steps: 0x10}\nnames: {0: free, 0x10: busy}\n")
    model, source = read_model(file, Whole)
    assert model.parts == (Part(max_kw=100.0), Part(max_kw=2.0, steps=16))
    assert model.names == {0: "free", 16: "busy"}
    assert source.line_of(("parts", 1, "steps")) == 3
    assert source.line_of(("parts", 1, "not there")) == 3


def test_a_byte_order_mark_is_harmless(tmp_path: Path) -> None:
    file = tmp_path / "windows.yaml"
    file.write_bytes(b"\xef\xbb\xbfparts: []\r\n")
    assert read_model(file, Whole)[0].parts == ()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.one_of(
        st.binary(max_size=60), st.text("ab:-[]{}&*!|>'\"#?, \n\t0.e", max_size=60).map(str.encode)
    )
)
def test_no_content_raises_anything_but_a_config_error(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "any.yaml"
    file.write_bytes(content)
    with suppress(ConfigError):
        read_model(file, Whole)

"""pip's and conda's files say the same, and the names that stand in several places agree."""

import itertools
import re

import yaml

from tests.gates.project import PROJECT, REPOSITORY, TEMPLATE, VERSION
from tests.shared import ROOT

CONDA_NAMES = {"torch": "pytorch"}
REQUIREMENT = re.compile(r"([A-Za-z0-9-]+)>=([\d.]+)")


def stated_requirements():
    """All requirements of pyproject.toml, the extras included: {name: bound}."""
    extras = PROJECT["project"]["optional-dependencies"].values()
    lists = [PROJECT["project"]["dependencies"], *extras]
    return dict(REQUIREMENT.fullmatch(line).groups() for lines in lists for line in lines)


def pins():
    """constraints.txt as {name in lower case: version}."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return {
        line.split("==")[0].lower(): line.split("==")[1]
        for line in lines
        if line and not line.startswith("#")
    }


def numbers(version):
    return [int(part) for part in version.split(".") if part.isdigit()]


def test_pyproject_states_lower_bounds_only_and_each_but_once():
    extras = PROJECT["project"]["optional-dependencies"]
    bounds = {}
    for line in itertools.chain(PROJECT["project"]["dependencies"], *extras.values()):
        match = REQUIREMENT.fullmatch(line)
        assert match, f"{line!r} is not of the form name>=version"
        name, bound = match.groups()
        assert bounds.setdefault(name, bound) == bound, f"{name} has two different bounds"


def test_conda_says_the_same_as_pip():
    conda = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    from_pip = next(entry["pip"] for entry in conda if isinstance(entry, dict))
    lines = [entry for entry in conda if isinstance(entry, str)] + from_pip
    found = dict(match.groups() for line in lines if (match := REQUIREMENT.fullmatch(line)))

    stated = stated_requirements()
    wanted = {CONDA_NAMES.get(name, name.lower()): bound for name, bound in stated.items()}
    wanted["python"] = PROJECT["project"]["requires-python"].removeprefix(">=")

    assert found == wanted
    assert "-e ." in from_pip


def test_every_requirement_is_pinned_above_its_bound():
    pinned = pins()
    for name, bound in stated_requirements().items():
        version = pinned.get(name.lower())
        assert version, f"{name} has no exact version in constraints.txt"
        message = f"{name} is pinned at {version}, below its bound {bound}"
        assert numbers(version) >= numbers(bound), message


def test_pins_fit_any_machine():
    for name, version in pins().items():
        assert "+" not in version, f"{name}=={version}: only one machine has this local version"
    assert pins()["torch"] == "2.13.0"
    assert not {"torchvision", "torchaudio"} & (pins().keys() | stated_requirements().keys())


def test_the_first_cell_fetches_this_repository_at_this_version():
    text = TEMPLATE.read_text(encoding="utf-8")

    assert f'ADDRESS = "{REPOSITORY}"' in text and '"SMM_REPOSITORY", ADDRESS' in text
    assert f'"--branch=v{VERSION}"' in text


def test_the_citation_names_this_version_and_repository():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))

    assert (citation["version"], citation["repository-code"]) == (VERSION, REPOSITORY)

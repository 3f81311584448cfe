"""pip's and conda's files say the same, and the names that stand in several places agree."""

import re

import yaml

from tests.gates.project import PROJECT, REPOSITORY, ROOT, TEMPLATE, VERSION

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
    for line in [
        *PROJECT["project"]["dependencies"],
        *(line for lines in extras.values() for line in lines),
    ]:
        match = REQUIREMENT.fullmatch(line)
        assert match, f"{line!r} is not of the form name>=version"
        assert bounds.setdefault(match[1], match[2]) == match[2], (
            f"{match[1]} has two different bounds"
        )


def test_conda_says_the_same_as_pip():
    conda = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    from_pip = next(entry["pip"] for entry in conda if isinstance(entry, dict))
    lines = [entry for entry in conda if isinstance(entry, str)] + [
        line for line in from_pip if line != "-e ."
    ]
    found = dict(match.groups() for line in lines if (match := REQUIREMENT.fullmatch(line)))

    wanted = {
        CONDA_NAMES.get(name, name.lower()): bound for name, bound in stated_requirements().items()
    }
    wanted["python"] = PROJECT["project"]["requires-python"].removeprefix(">=")

    assert found == wanted
    assert "-e ." in from_pip


def test_every_requirement_is_pinned_above_its_bound():
    pinned = pins()
    for name, bound in stated_requirements().items():
        version = pinned.get(name.lower())
        assert version, f"{name} has no exact version in constraints.txt"
        assert numbers(version) >= numbers(bound), (
            f"{name} is pinned at {version}, below its bound {bound}"
        )


def test_pins_fit_any_machine():
    for name, version in pins().items():
        assert "+" not in version, (
            f"{name}=={version}: a local version is found on one machine only"
        )
    assert pins()["torch"] == "2.13.0"
    assert not {"torchvision", "torchaudio"} & (pins().keys() | stated_requirements().keys())


def test_the_first_cell_fetches_this_repository_at_this_version():
    text = TEMPLATE.read_text(encoding="utf-8")

    assert f'"SMM_REPOSITORY", "{REPOSITORY}"' in text
    assert f'"--branch=v{VERSION}"' in text


def test_the_citation_names_this_version_and_repository():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))

    assert (citation["version"], citation["repository-code"]) == (VERSION, REPOSITORY)
